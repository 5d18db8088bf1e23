#include "engine/cuda/cudnn/operations.h"

#include "engine/base/check.h"

namespace retort {
namespace {

using Extents = std::vector<int64_t>;  // N,C,H,W: cuDNN's order, whatever the order in memory

class Builder {
 public:
  Builder(const CudnnProblem& problem, int64_t alignment) : p_(problem), alignment_(alignment) {}

  CudnnOperations build(cudnnHandle_t handle) {
    switch (p_.op) {
      case CudnnOp::conv:
        convolution();
        break;
      case CudnnOp::conv_input_gradient:
        input_gradient();
        break;
      case CudnnOp::conv_weight_gradient:
        weight_gradient();
        break;
      case CudnnOp::batch_norm_train:
        batch_norm();
        break;
      case CudnnOp::batch_norm_gradient:
        batch_norm_gradient();
        break;
    }
    std::vector<cudnnBackendDescriptor_t> raw;
    for (size_t i : operations_) raw.push_back(made_.parts[i].raw());
    made_.graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, int64_t(raw.size()),
                    raw.data());
    if (handle) made_.graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle);
    made_.graph.finalize("operation graph");
    return std::move(made_);
  }

 private:
  // Descriptors are named by their places in made_.parts, which moves as it grows.
  using Part = size_t;

  Part part(cudnnBackendDescriptorType_t type) {
    made_.parts.emplace_back(type);
    return made_.parts.size() - 1;
  }
  CudnnDescriptor& at(Part part) { return made_.parts[part]; }
  void finish_operation(Part operation, const char* what) {
    at(operation).finalize(what);
    operations_.push_back(operation);
  }

  // A dense tensor with the channels innermost.
  Part tensor(int64_t id, const Extents& e, cudnnDataType_t type, bool is_virtual = false,
              bool by_value = false) {
    const Part made = part(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    CudnnDescriptor& t = at(made);
    t.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id);
    t.set(CUDNN_ATTR_TENSOR_DATA_TYPE, type);
    t.set(CUDNN_ATTR_TENSOR_DIMENSIONS, e);
    t.set(CUDNN_ATTR_TENSOR_STRIDES, Extents{e[1] * e[2] * e[3], 1, e[1] * e[3], e[1]});
    t.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, by_value ? int64_t(4) : alignment_);
    if (is_virtual) t.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, true);
    if (by_value) t.set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, true);
    t.finalize("tensor");
    return made;
  }
  Part tensor(CudnnSlot slot, const Extents& e, cudnnDataType_t type) {
    return tensor(int64_t(slot), e, type);
  }
  Part intermediate(const Extents& e) { return tensor(next_virtual_++, e, CUDNN_DATA_FLOAT, true); }
  Part host_scalar(CudnnSlot slot) {
    return tensor(int64_t(slot), {1, 1, 1, 1}, CUDNN_DATA_FLOAT, false, true);
  }

  Extents x_extents() const { return {p_.images, p_.channels, p_.height, p_.width}; }
  Extents y_extents() const { return {p_.images, p_.outputs, p_.out_height, p_.out_width}; }
  Extents w_extents() const {
    return {p_.outputs, p_.channels / p_.groups, p_.kernel_height, p_.kernel_width};
  }

  Part convolution_descriptor() {
    const Part made = part(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    CudnnDescriptor& c = at(made);
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    c.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, int64_t(2));
    c.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT);
    c.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    c.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, Extents{p_.pad, p_.pad});
    c.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, Extents{p_.pad, p_.pad});
    c.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, Extents{1, 1});
    c.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, Extents{p_.stride, p_.stride});
    c.finalize("convolution");
    return made;
  }

  // y = relu?(conv + add + bias), in the order and with the types (bias as y) that the precompiled engines
  // know; what lies between the operations stays in registers.
  void convolution() {
    const cudnnDataType_t type = cudnn_type(p_.type);
    const Part x = tensor(CudnnSlot::x, x_extents(), type), w = tensor(CudnnSlot::w, w_extents(), type);
    const Part map = convolution_descriptor();
    const int steps = int(p_.bias) + int(p_.add) + int(p_.relu);
    const Part y = tensor(CudnnSlot::y, y_extents(), cudnn_type(p_.result));
    int left = steps;
    const auto result = [&] { return left-- == 0 ? y : intermediate(y_extents()); };
    Part value = result();
    const Part conv = part(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    at(conv).set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, at(map));
    at(conv).set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, at(x));
    at(conv).set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, at(w));
    at(conv).set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, at(value));
    at(conv).set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, 1.f);
    at(conv).set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, 0.f);
    finish_operation(conv, "convolution operation");
    if (p_.add) {
      const Part add = tensor(CudnnSlot::add, y_extents(), cudnn_type(p_.result));
      value = pointwise(CUDNN_POINTWISE_ADD, value, add, result());
    }
    if (p_.bias) {
      const Part bias = tensor(CudnnSlot::bias, {1, p_.outputs, 1, 1}, type);
      value = pointwise(CUDNN_POINTWISE_ADD, value, bias, result());
    }
    if (p_.relu) pointwise(CUDNN_POINTWISE_RELU_FWD, value, no_part, result());
  }

  void input_gradient() {
    const cudnnDataType_t type = cudnn_type(p_.type);
    const Part dy = tensor(CudnnSlot::dy, y_extents(), type), w = tensor(CudnnSlot::w, w_extents(), type);
    const Part dx = tensor(CudnnSlot::dx, x_extents(), cudnn_type(p_.result));
    const Part map = convolution_descriptor();
    const Part op = part(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR);
    at(op).set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, at(map));
    at(op).set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, at(dy));
    at(op).set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, at(w));
    at(op).set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, at(dx));
    at(op).set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, 1.f);
    at(op).set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, p_.accumulate ? 1.f : 0.f);
    finish_operation(op, "input gradient operation");
  }

  void weight_gradient() {
    const cudnnDataType_t type = cudnn_type(p_.type);
    const Part x = tensor(CudnnSlot::x, x_extents(), type), dy = tensor(CudnnSlot::dy, y_extents(), type);
    const Part dw = tensor(CudnnSlot::dw, w_extents(), cudnn_type(p_.result));
    const Part map = convolution_descriptor();
    const Part op = part(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR);
    at(op).set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, at(map));
    at(op).set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, at(x));
    at(op).set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY, at(dy));
    at(op).set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, at(dw));
    at(op).set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, 1.f);
    at(op).set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA, p_.accumulate ? 1.f : 0.f);
    finish_operation(op, "weight gradient operation");
  }

  // to = a op b, or op(a) without b; the part that holds it.
  Part pointwise(cudnnPointwiseMode_t mode, Part a, Part b, Part to) {
    const Part how = part(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    at(how).set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    at(how).set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
    if (mode == CUDNN_POINTWISE_RELU_FWD) {  // a NaN is no 0, or a broken teacher looks sound
      const cudnnNanPropagation_t nan = CUDNN_PROPAGATE_NAN;
      at(how).set(CUDNN_ATTR_POINTWISE_NAN_PROPAGATION, CUDNN_TYPE_NAN_PROPOGATION, 1, &nan);
    }
    at(how).finalize("pointwise");
    const Part op = part(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    at(op).set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, at(how));
    at(op).set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, at(a));
    if (b != no_part) at(op).set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, at(b));
    at(op).set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, at(to));
    finish_operation(op, "pointwise operation");
    return to;
  }

  void batch_norm() {
    const cudnnDataType_t type = cudnn_type(p_.type);
    const Extents channels{1, p_.channels, 1, 1};
    const auto statistic = [&](CudnnSlot slot) { return tensor(slot, channels, CUDNN_DATA_FLOAT); };
    const cudnnBackendNormMode_t mode = CUDNN_BATCH_NORM;
    const cudnnBackendNormFwdPhase_t phase = CUDNN_NORM_FWD_TRAINING;
    int left = int(p_.add) + int(p_.relu);
    const Part y = tensor(CudnnSlot::y, x_extents(), type);
    const auto result = [&] { return left-- == 0 ? y : intermediate(x_extents()); };
    Part value = result();
    struct {
      cudnnBackendAttributeName_t name;
      Part part;
    } const operands[] = {
        {CUDNN_ATTR_OPERATION_NORM_FWD_XDESC, tensor(CudnnSlot::x, x_extents(), type)},
        {CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC, statistic(CudnnSlot::mean)},
        {CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC, statistic(CudnnSlot::inverse_std)},
        {CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC, statistic(CudnnSlot::gamma)},
        {CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC, statistic(CudnnSlot::beta)},
        {CUDNN_ATTR_OPERATION_NORM_FWD_EPSILON_DESC, host_scalar(CudnnSlot::epsilon)},
        {CUDNN_ATTR_OPERATION_NORM_FWD_EXP_AVG_FACTOR_DESC, host_scalar(CudnnSlot::momentum)},
        {CUDNN_ATTR_OPERATION_NORM_FWD_INPUT_RUNNING_MEAN_DESC, statistic(CudnnSlot::running_mean)},
        {CUDNN_ATTR_OPERATION_NORM_FWD_INPUT_RUNNING_VAR_DESC, statistic(CudnnSlot::running_var)},
        {CUDNN_ATTR_OPERATION_NORM_FWD_OUTPUT_RUNNING_MEAN_DESC, statistic(CudnnSlot::next_running_mean)},
        {CUDNN_ATTR_OPERATION_NORM_FWD_OUTPUT_RUNNING_VAR_DESC, statistic(CudnnSlot::next_running_var)},
        {CUDNN_ATTR_OPERATION_NORM_FWD_YDESC, value}};
    const Part op = part(CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR);
    at(op).set(CUDNN_ATTR_OPERATION_NORM_FWD_MODE, CUDNN_TYPE_NORM_MODE, 1, &mode);
    at(op).set(CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, CUDNN_TYPE_NORM_FWD_PHASE, 1, &phase);
    for (const auto& operand : operands) at(op).set(operand.name, at(operand.part));
    finish_operation(op, "batch norm operation");
    if (p_.add) {
      const Part add = tensor(CudnnSlot::add, x_extents(), type);
      value = pointwise(CUDNN_POINTWISE_ADD, value, add, result());
    }
    if (p_.relu) pointwise(CUDNN_POINTWISE_RELU_FWD, value, no_part, result());
  }

  void batch_norm_gradient() {
    const cudnnDataType_t type = cudnn_type(p_.type);
    const Extents channels{1, p_.channels, 1, 1};
    const auto statistic = [&](CudnnSlot slot) { return tensor(slot, channels, CUDNN_DATA_FLOAT); };
    const cudnnBackendNormMode_t mode = CUDNN_BATCH_NORM;
    const Part dy = tensor(CudnnSlot::dy, x_extents(), type);
    struct {
      cudnnBackendAttributeName_t name;
      Part part;
    } const operands[] = {
        {CUDNN_ATTR_OPERATION_NORM_BWD_XDESC, tensor(CudnnSlot::x, x_extents(), type)},
        {CUDNN_ATTR_OPERATION_NORM_BWD_DYDESC, dy},
        {CUDNN_ATTR_OPERATION_NORM_BWD_SCALE_DESC, statistic(CudnnSlot::gamma)},
        {CUDNN_ATTR_OPERATION_NORM_BWD_MEAN_DESC, statistic(CudnnSlot::mean)},
        {CUDNN_ATTR_OPERATION_NORM_BWD_INV_VARIANCE_DESC, statistic(CudnnSlot::inverse_std)},
        {CUDNN_ATTR_OPERATION_NORM_BWD_DSCALE_DESC, statistic(CudnnSlot::dgamma)},
        {CUDNN_ATTR_OPERATION_NORM_BWD_DBIAS_DESC, statistic(CudnnSlot::dbeta)},
        {CUDNN_ATTR_OPERATION_NORM_BWD_DXDESC, tensor(CudnnSlot::dx, x_extents(), type)}};
    const Part op = part(CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR);
    at(op).set(CUDNN_ATTR_OPERATION_NORM_BWD_MODE, CUDNN_TYPE_NORM_MODE, 1, &mode);
    for (const auto& operand : operands) at(op).set(operand.name, at(operand.part));
    finish_operation(op, "batch norm gradient operation");
  }

  static constexpr Part no_part = Part(-1);
  const CudnnProblem& p_;
  const int64_t alignment_;
  CudnnOperations made_;
  std::vector<Part> operations_;
  int64_t next_virtual_ = 1000;  // ids of intermediates, behind all slots
};

}  // namespace

bool cudnn_computes(DType type) {
  return type == DType::f32 || type == DType::f16 || type == DType::bf16;
}

cudnnDataType_t cudnn_type(DType type) {
  switch (type) {
    case DType::f32:
      return CUDNN_DATA_FLOAT;
    case DType::f16:
      return CUDNN_DATA_HALF;
    case DType::bf16:
      return CUDNN_DATA_BFLOAT16;
    default:
      fail(Fault::internal, "cuDNN: elements of type ", type, ", expected f32, f16 or bf16");
  }
}

CudnnOperations cudnn_operations(const CudnnProblem& problem, cudnnHandle_t handle, int64_t alignment) {
  return Builder(problem, alignment).build(handle);
}

}  // namespace retort
