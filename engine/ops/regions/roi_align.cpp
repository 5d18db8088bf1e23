#include "engine/kernels/regions/roi_rows.h"
#include "engine/ops/region_ops.h"
#include "engine/types.h"

namespace retort {

Var roi_align(const Pass& pass, const std::vector<Var>& levels, const std::vector<double>& scales,
              const Var& boxes, const Var& image, const Var& level, int size) {
  check(!levels.empty() && levels.size() == scales.size() && size >= 1, "roi_align: ", levels.size(),
        " levels with ", scales.size(), " scales to size ", size);
  check(levels.size() <= size_t(RoiAlignRow<float>::most_levels), "roi_align: ", levels.size(),
        " levels, at most ", RoiAlignRow<float>::most_levels);
  const Shape& first = levels[0].shape();
  for (const Var& x : levels)
    check(x.shape().rank() == 4 && x.shape()[0] == first[0] && x.shape()[3] == first[3] &&
              x.type() == boxes.type(),
          "roi_align: a level of ", x.shape(), " ", x.type(), " beside ", first, " with boxes of ",
          boxes.type());
  const int64_t rois = image.tensor().size(), channels = first[3];
  check(boxes.shape() == Shape({rois, 4}) && level.tensor().size() == rois && image.type() == DType::i32 &&
            level.type() == DType::i32,
        "roi_align: boxes ", boxes.shape(), ", images ", image.shape(), " ", image.type(), ", levels ",
        level.shape(), " ", level.type(), ", expected R,4 and two lists of R i32");
  Var y = pass.make({rois, size, size, channels}, boxes.type());
  with_real_type(boxes.type(), "roi_align", [&]<class T>() {
    RoiAlignRow<T> row{};
    for (size_t l = 0; l < levels.size(); ++l)
      row.levels[l] = {levels[l].tensor().as<T>(), levels[l].shape()[1], levels[l].shape()[2], T(scales[l])};
    row.boxes = boxes.tensor().as<T>();
    row.image = image.tensor().as<int32_t>();
    row.level = level.tensor().as<int32_t>();
    row.y = y.tensor().as<T>();
    row.channels = channels;
    row.size = size;
    launch_rows(pass.backend(), row, rois * size * size);
  });
  pass.record("roi_align", y, levels, [scales, boxes, image, level, size](const Tensor& dy, Grads& g) {
    for (size_t l = 0; l < scales.size(); ++l) {
      if (!g.wants(int(l))) continue;
      const Sink dx = g.sink(int(l));
      const Shape& s = dx.to.shape;
      with_real_type(dy.type, "roi_align", [&]<class T>() {
        launch_rows(g.backend(),
                    RoiAlignGradientRow<T>{dy.as<T>(), dx.to.as<T>(), boxes.tensor().as<T>(),
                                           image.tensor().as<int32_t>(), level.tensor().as<int32_t>(),
                                           image.tensor().size(), s[3], s[1], s[2], T(scales[l]), int32_t(l),
                                           size, dx.accumulates()},
                    s[0] * s[1]);
      });
    }
  });
  return y;
}

}  // namespace retort
