#include "engine/cuda/cudnn/recipe.h"

#include "engine/base/check.h"

namespace retort {

std::vector<CudnnRecipe> recipes_for(const CudnnProblem& request) {
  std::vector<CudnnRecipe> recipes;
  const auto add = [&](const CudnnProblem& problem, bool epilogue) {
    recipes.push_back({problem, epilogue});
    if (const CudnnProblem more = padded(problem); more != problem) recipes.push_back({more, epilogue});
  };
  switch (request.op) {
    case CudnnOp::conv: {
      const bool behind = request.bias || request.add || request.relu;
      CudnnProblem fused = request;
      fused.bias =
          behind;  // the precompiled engines know conv (+ add) + bias (+ ReLU); a bias of zeros costs nothing
      add(fused, false);
      if (behind) add(plain(request), true);
      break;
    }
    case CudnnOp::conv_input_gradient:
    case CudnnOp::conv_weight_gradient: {
      recipes.push_back({request, false});
      CudnnProblem simple = request;
      simple.accumulate = false;
      simple.result = request.type;
      if (simple != request) recipes.push_back({simple, false});
      if (const CudnnProblem more = padded(simple); more != simple) recipes.push_back({more, false});
      break;
    }
    case CudnnOp::batch_norm_train:
    case CudnnOp::batch_norm_gradient:
      recipes.push_back({request, false});
  }
  return recipes;
}

Block block_of(const CudnnProblem& p, CudnnSlot slot) {
  const auto image = [&](int64_t places, int64_t channels) {
    return Block{{1, p.images * places, p.groups, channels / p.groups}};
  };
  switch (slot) {
    case CudnnSlot::x:
    case CudnnSlot::dx:
      return image(p.height * p.width, p.channels);
    case CudnnSlot::y:
    case CudnnSlot::dy:
    case CudnnSlot::add:
      return image(p.out_height * p.out_width, p.outputs);
    case CudnnSlot::w:
    case CudnnSlot::dw:
      return {{p.groups, p.outputs / p.groups, p.kernel_height * p.kernel_width, p.channels / p.groups}};
    case CudnnSlot::bias:
      return {{1, 1, p.groups, p.outputs / p.groups}};
    case CudnnSlot::epsilon:
    case CudnnSlot::momentum:
      return {};
    default:  // statistics and parameters of a batch norm
      return {{1, 1, 1, p.channels}};
  }
}

DType type_of(const CudnnProblem& p, CudnnSlot slot) {
  switch (slot) {
    case CudnnSlot::x:
    case CudnnSlot::w:
    case CudnnSlot::dy:
    case CudnnSlot::bias:
      return p.type;
    case CudnnSlot::y:
    case CudnnSlot::add:
    case CudnnSlot::dx:
    case CudnnSlot::dw:
      return p.result;
    default:
      return DType::f32;
  }
}

std::vector<CudnnSlot> slots_of(const CudnnProblem& problem) {
  switch (problem.op) {
    case CudnnOp::conv_input_gradient:
      return {CudnnSlot::dy, CudnnSlot::w, CudnnSlot::dx};
    case CudnnOp::conv_weight_gradient:
      return {CudnnSlot::x, CudnnSlot::dy, CudnnSlot::dw};
    default: {
      std::vector<CudnnSlot> slots{CudnnSlot::x, CudnnSlot::w, CudnnSlot::y};
      if (problem.bias) slots.push_back(CudnnSlot::bias);
      if (problem.add) slots.push_back(CudnnSlot::add);
      return slots;
    }
  }
}

}  // namespace retort
