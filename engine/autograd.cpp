#include "engine/autograd.h"

#include <algorithm>
#include <atomic>

namespace retort {

namespace {

uint64_t next_serial() {
  static std::atomic<uint64_t> serial{0};
  return ++serial;
}

}  // namespace

bool Grads::wants(int input) const {
  return inputs_[size_t(input)] >= 0;
}

Sink Grads::sink(int input) {
  const int slot = inputs_[size_t(input)];
  if (slot < 0) return {};
  Tape::Slot& s = tape_.slots_[size_t(slot)];
  if (!s.grad) s.grad = Array(tape_.device_.step_arena(), s.shape, s.type);
  const Write write = s.written ? Write::accumulate : Write::overwrite;
  s.written = true;
  return {s.grad, write};
}

Array Grads::scratch(const Shape& shape, DType type) {
  return Array(tape_.device_.step_arena(), shape, type);
}
Device& Grads::device() {
  return tape_.device_;
}
Backend& Grads::backend() {
  return tape_.device_.backend();
}

Tape::Tape(Device& device) : device_(device), serial_(next_serial()) {
  slots_.reserve(256);
  nodes_.reserve(256);
}

Var Tape::parameter(Parameter& p, const Array& as) {
  Var var(as);
  if (!p.grad) return var;
  const Tensor& form = as.tensor;
  check(form.type == p.grad.tensor.type && form.shape == p.grad.tensor.shape, "Tape: a parameter is read as ",
        form.shape, " ", form.type, ", its gradient is ", p.grad.tensor.shape, " ", p.grad.tensor.type,
        "; are the images drawn as in_16_bits() was told?");
  if (p.tape != this || p.tape_serial != serial_) {
    p.tape = this;
    p.tape_serial = serial_;
    p.slot = int(slots_.size());
    p.received = false;
    slots_.push_back({p.value.tensor.shape, p.value.tensor.type, p.grad, &p, true, false});
  }
  var.slot_ = p.slot;
  return var;
}

Var Tape::leaf(const Tensor& value) {
  Var var(value);
  var.slot_ = int(slots_.size());
  slots_.push_back(
      {value.shape, value.type, Array(device_.step_arena(), value.shape, value.type), nullptr, true, false});
  return var;
}

void Tape::record(const char* name, Var& y, const std::vector<Var>& inputs, Pullback pullback) {
  if (std::none_of(inputs.begin(), inputs.end(), [](const Var& v) { return v.requires_grad(); })) return;
  Node node{name, int(slots_.size()), {}, std::move(pullback)};
  node.inputs.reserve(inputs.size());
  for (const Var& v : inputs) {
    node.inputs.push_back(v.slot_);
    if (v.slot_ >= 0) ++slots_[size_t(v.slot_)].uses;
  }
  slots_.push_back({y.shape(), y.type(), {}, nullptr, false, false});
  y.slot_ = node.output;
  nodes_.push_back(std::move(node));
}

void Tape::backward(const Var& y, const Tensor& dy) {
  check(!done_, "Tape::backward: called twice on one tape; record a new one");
  check(dy.shape == y.shape() && dy.type == y.type(), "Tape::backward: a gradient ", dy.shape, " ", dy.type,
        " of ", y.shape(), " ", y.type());
  done_ = true;
  if (y.requires_grad()) {
    Slot& slot = slots_[size_t(y.slot_)];
    slot.grad = {};
    slot.grad.tensor = dy;
    slot.written = true;
  }
  run_pullbacks(false);
}

void Tape::backward(const Var& loss, const Scalar* seed, bool again) {
  check(!done_, "Tape::backward: called twice on one tape; record a new one");
  check(loss.tensor().size() == 1, "Tape::backward: the loss has shape ", loss.shape(),
        ", expected one element");
  done_ = !again;
  for (Slot& slot : slots_) {  // of a pass before this one
    slot.written = false;
    if (slot.parameter)
      slot.grad = slot.parameter->grad;
    else if (!slot.leaf)
      slot.grad = {};
  }
  if (loss.requires_grad()) {
    Slot& slot = slots_[size_t(loss.slot_)];
    if (!slot.grad) slot.grad = Array(device_.step_arena(), slot.shape, slot.type);
    slot.written = true;
    device_.backend().fill(slot.grad, 1.0);
    if (seed) {
      const Array one = slot.grad;
      slot.grad = Array(device_.step_arena(), slot.shape, slot.type);
      device_.backend().scale_by(one, seed->value, 1.0, slot.grad);
    }
  }
  run_pullbacks(again);
}

void Tape::run_pullbacks(bool again) {
  for (size_t left = nodes_.size(); left > 0; --left) {
    Node& node = nodes_[left - 1];
    Slot& output = slots_[size_t(node.output)];
    if (output.written) {
      const Array dy = std::move(output.grad);
      output.grad = {};
      Grads grads(*this, node.inputs);
      node.pullback(dy, grads);
    }
    for (const int input : node.inputs) {
      if (input < 0 || --slots_[size_t(input)].uses > 0 || !watcher_) continue;
      const Slot& slot = slots_[size_t(input)];
      if (slot.parameter && slot.written) watcher_(*slot.parameter);
    }
    if (!again) nodes_.pop_back();  // and with it what its pullback kept
  }
  for (Slot& slot : slots_) {
    if (slot.leaf && !slot.written) device_.backend().fill(slot.grad, 0.0);
    if (slot.parameter) slot.parameter->received = slot.written;
  }
}

Tensor Tape::gradient(const Var& leaf) const {
  check(done_ && leaf.slot_ >= 0 && slots_[size_t(leaf.slot_)].leaf,
        "Tape::gradient: asked for something else than a leaf after backward()");
  return slots_[size_t(leaf.slot_)].grad;
}

}  // namespace retort
