#include "engine/kernels/rows.h"
#include "engine/ops/ops.h"
#include "engine/types.h"

namespace retort {

Var reshape(const Pass& pass, const Var& x, const Shape& shape) {
  Var y = x.reshaped(shape);
  pass.record("reshape", y, {x}, [](const Tensor& dy, Grads& g) {
    const Sink dx = g.sink(0);
    g.backend().copy(dy.reshaped(dx.to.shape), dx);
  });
  return y;
}

Var slice_columns(const Pass& pass, const Var& x, int64_t first, int64_t count) {
  const Shape& s = x.shape();
  check(s.rank() >= 1 && first >= 0 && count >= 1 && first + count <= s.last(), "slice_columns: columns ",
        first, " to ", first + count, " of ", s);
  int64_t extents[Shape::max_rank];
  for (int i = 0; i < s.rank(); ++i) extents[i] = s[i];
  extents[s.rank() - 1] = count;
  Var y = pass.make(Shape(extents, s.rank()), x.type());
  pass.backend().copy_columns(x, first, y, 0, count);
  pass.record("slice_columns", y, {x}, [first, count](const Tensor& dy, Grads& g) {
    const Sink dx = g.sink(0);
    if (!dx.accumulates()) g.backend().fill(dx.to, 0.0);
    g.backend().copy_columns(dy, 0, {dx.to, Write::accumulate}, first, count);
  });
  return y;
}

Var concat_columns(const Pass& pass, const std::vector<Var>& parts) {
  check(!parts.empty(), "concat_columns: nothing to concatenate");
  const Shape& s = parts[0].shape();
  int64_t columns = 0;
  for (const Var& part : parts) {
    check(
        part.shape().rank() == s.rank() && part.shape().rows() == s.rows() && part.type() == parts[0].type(),
        "concat_columns: ", part.shape(), " beside ", s);
    columns += part.shape().last();
  }
  int64_t extents[Shape::max_rank];
  for (int i = 0; i < s.rank(); ++i) extents[i] = s[i];
  extents[s.rank() - 1] = columns;
  Var y = pass.make(Shape(extents, s.rank()), parts[0].type());
  int64_t first = 0;
  for (const Var& part : parts) {
    pass.backend().copy_columns(part, 0, y, first, part.shape().last());
    first += part.shape().last();
  }
  std::vector<int64_t> counts;
  for (const Var& part : parts) counts.push_back(part.shape().last());
  pass.record("concat_columns", y, parts, [counts](const Tensor& dy, Grads& g) {
    int64_t from = 0;
    for (size_t i = 0; i < counts.size(); ++i) {
      if (g.wants(int(i))) g.backend().copy_columns(dy, from, g.sink(int(i)), 0, counts[i]);
      from += counts[i];
    }
  });
  return y;
}

Var pad_columns(const Pass& pass, const Var& x, int64_t first, int64_t columns) {
  const Shape& s = x.shape();
  check(s.rank() >= 1 && first >= 0 && first + s.last() <= columns, "pad_columns: ", s, " at column ", first,
        " of ", columns);
  int64_t extents[Shape::max_rank];
  for (int i = 0; i < s.rank(); ++i) extents[i] = s[i];
  extents[s.rank() - 1] = columns;
  Var y = pass.make(Shape(extents, s.rank()), x.type());
  pass.backend().fill(y, 0.0);
  pass.backend().copy_columns(x, 0, y, first, s.last());
  pass.record("pad_columns", y, {x}, [first, count = s.last()](const Tensor& dy, Grads& g) {
    g.backend().copy_columns(dy, first, g.sink(0), 0, count);
  });
  return y;
}

Var gather_columns(const Pass& pass, const Var& x, const Var& index) {
  check(index.type() == DType::i32 && index.shape().rows() == x.shape().rows(), "gather_columns: index ",
        index.shape(), " ", index.type(), " for x ", x.shape(), ", expected i32 with as many rows");
  Var y = pass.make(index.shape(), x.type());
  with_real_type(x.type(), "gather_columns", [&]<class T>() {
    launch_rows(pass.backend(),
                GatherRow<T>{x.tensor().as<T>(), index.tensor().as<int32_t>(), y.tensor().as<T>(),
                             x.shape().last(), index.shape().last()},
                x.shape().rows());
  });
  pass.record("gather_columns", y, {x}, [index](const Tensor& dy, Grads& g) {
    const Sink dx = g.sink(0);
    with_real_type(dy.type, "gather_columns", [&]<class T>() {
      launch_rows(g.backend(),
                  ScatterRow<T>{dy.as<T>(), index.tensor().as<int32_t>(), dx.to.as<T>(), dx.to.shape.last(),
                                index.shape().last(), dx.accumulates()},
                  dx.to.shape.rows());
    });
  });
  return y;
}

Var channel_shuffle(const Pass& pass, const Var& x, int64_t groups) {
  check(x.shape().rank() >= 1 && groups >= 1 && x.shape().last() % groups == 0, "channel_shuffle: ", groups,
        " groups of the columns of ", x.shape());
  const int64_t size = x.shape().last() / groups;
  Var y = pass.make(x.shape(), x.type());
  with_real_type(x.type(), "channel_shuffle", [&]<class T>() {
    launch_rows(pass.backend(), ShuffleRow<T>{x.tensor().as<T>(), y.tensor().as<T>(), groups, size},
                x.shape().rows());
  });
  pass.record("channel_shuffle", y, {x}, [groups, size](const Tensor& dy, Grads& g) {
    const Sink dx = g.sink(0);
    with_real_type(dy.type, "channel_shuffle", [&]<class T>() {
      launch_rows(g.backend(),
                  ShuffleGradientRow<T>{dy.as<T>(), dx.to.as<T>(), groups, size, dx.accumulates()},
                  dy.shape.rows());
    });
  });
  return y;
}

}  // namespace retort
