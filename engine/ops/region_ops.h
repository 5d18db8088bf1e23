// The ops of detectors, beside those of ops.h, and as them: pullbacks stand beside the values in
// ops/regions/*.cpp.
#pragma once
#include "engine/ops/ops.h"

namespace retort {

// A convolution behind which a frozen batch norm stands: relu?(conv(x, w scale) + shift + add) with scale and
// shift (K) constants and w scaled per output channel, which the gradient goes through. Nothing but the
// convolution's own memory is kept. add may be empty.
Var frozen_conv2d(const Pass& pass, const Var& x, const Var& w, const Var& scale, const Var& shift,
                  const Conv2dSpec& spec, bool relu = false, const Var& add = {});

Var relu6(const Pass& pass, const Var& x);  // min(max(x, 0), 6)
// log(1 + e^x), stable. softplus(z) - t z is the binary cross-entropy of a logit z and a target t.
Var softplus(const Pass& pass, const Var& x);

// y[r] = x[index[r]], rows of x seen as [rows, columns]; index i32 (R), a constant without repetitions. ->
// R,columns
Var gather_rows(const Pass& pass, const Var& x, const Var& index);

// What boxes see of a pyramid of images: levels[l] is N,H_l,W_l,C, its places 1 / scales[l] pixels apart.
// boxes (R,4) are x1,y1,x2,y2 in pixels, of x's type; image and level (R, i32) say where each one looks. Each
// box is cut into size x size bins, a bin's value is the mean over ceil(side / size) x ceil(side / size)
// samples, bilinear between places: He et al., Mask R-CNN, arXiv:1703.06870, section 3, with places at the
// centres of their pixels ("aligned"). -> R,size,size,C. boxes, image and level are constants.
Var roi_align(const Pass& pass, const std::vector<Var>& levels, const std::vector<double>& scales,
              const Var& boxes, const Var& image, const Var& level, int size);

}  // namespace retort
