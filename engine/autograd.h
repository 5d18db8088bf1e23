// Define-by-run automatic differentiation.
//
// A Var is a value with an optional place on a Tape. An op computes its output with the pass's backend, then
// calls pass.record(name, y, {inputs}, pullback). The pullback receives dy and adds to its inputs' gradients
// through Grads; what its lambda captures is what is kept for the backward pass, and nothing else is: a Var
// that no pullback captures returns its memory when the forward code drops it.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "engine/device.h"

namespace retort {

class Tape;
class LayerObserver;  // of the layers; a pass only carries it

// A learnable tensor. Its gradient is written by Tape::backward: overwritten by the first contribution of a
// step, added to by later ones, so that nothing has to be zeroed. Without grad it is frozen.
struct Parameter {
  Array value;
  Array grad;
  // The value in 16 bits, kept so by who changes the value (the optimiser; see Sgd); grad is then of its type
  // and shape. Its last extent may be larger than the value's, with zeros behind.
  Array rounded;

  // What a kernel reads that wants elements of a type and so many channels: rounded if that is it, or value.
  const Array& read_as(DType type, int64_t channels) const {
    const Tensor& r = rounded.tensor;
    return rounded && r.type == type && r.shape.last() == channels ? rounded : value;
  }

  Parameter() = default;
  Parameter(Device& device, const Shape& shape, DType type = DType::f32, double fill = 0)
      : value(device.persistent(shape, type, fill)), grad(device.persistent(shape, type, 0)) {}

  bool idle = false;  // the loss need not use it: without a gradient it only decays

  const Tape* tape = nullptr;  // the last tape that saw it, and its slot there
  uint64_t tape_serial = 0;
  int slot = -1;
  bool received = false;  // a gradient in the last backward pass
};

class Var {
 public:
  Var() = default;
  explicit Var(Array array) : array_(std::move(array)) {}
  // A constant over memory owned elsewhere.
  explicit Var(const Tensor& tensor) { array_.tensor = tensor; }

  const Tensor& tensor() const { return array_.tensor; }
  operator const Tensor&() const { return array_.tensor; }
  operator Sink() const { return Sink(array_.tensor); }
  const Shape& shape() const { return array_.tensor.shape; }
  DType type() const { return array_.tensor.type; }
  explicit operator bool() const { return bool(array_); }
  bool requires_grad() const { return slot_ >= 0; }
  // The same value without its history.
  Var detached() const { return Var(array_); }
  // The same elements under another shape, without history.
  Var reshaped(const Shape& shape) const {
    Var v(array_);
    v.array_.tensor = array_.tensor.reshaped(shape);
    return v;
  }

 private:
  friend class Tape;
  Array array_;
  int slot_ = -1;
};

// What a pullback sees of its inputs' gradients. Input i is the i-th of the list given to record().
class Grads {
 public:
  bool wants(int input) const;
  // Where the gradient of input i goes; empty if nothing wants it. Counts as written: ask once per
  // contribution, and fill it before asking for the same Var's next one.
  Sink sink(int input);
  // Memory until the pullback returns.
  Array scratch(const Shape& shape, DType type);
  Device& device();
  Backend& backend();

 private:
  friend class Tape;
  Grads(Tape& tape, const std::vector<int>& inputs) : tape_(tape), inputs_(inputs) {}
  Tape& tape_;
  const std::vector<int>& inputs_;
};

using Pullback = std::function<void(const Tensor& dy, Grads& g)>;

class Tape {
 public:
  explicit Tape(Device& device);
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  // The parameter as a Var, or `as`, which is its value in another form; a constant if it is frozen.
  Var parameter(Parameter& parameter) { return this->parameter(parameter, parameter.value); }
  Var parameter(Parameter& parameter, const Array& as);
  // A leaf whose gradient is wanted (tests, losses on given logits): gradient() after backward().
  Var leaf(const Tensor& value);

  void record(const char* name, Var& y, const std::vector<Var>& inputs, Pullback pullback);

  // Runs the pullbacks in reverse from a one-element loss. seed, if given, is an f64 device scalar that the
  // loss is multiplied by (loss scaling). A tape runs backward once, unless `again` keeps it for a pass from
  // another loss, whose gradients overwrite those of the one before: a parameter's go where its grad is by
  // then. Parameters seen but not reached get a zero gradient.
  void backward(const Var& loss, const Scalar* seed = nullptr, bool again = false);
  // The same from any Var whose gradient is known.
  void backward(const Var& y, const Tensor& dy);

  // Called in the one backward pass that follows with each parameter that it reaches, when all of its
  // gradient has been enqueued.
  void watch(std::function<void(Parameter&)> watcher) { watcher_ = std::move(watcher); }

  // Gradient of a leaf after backward(); zeros if it was not reached.
  Tensor gradient(const Var& leaf) const;

  Device& device() { return device_; }

 private:
  friend class Grads;
  void run_pullbacks(bool again);
  struct Slot {
    Shape shape;
    DType type;
    Array grad;
    Parameter* parameter = nullptr;
    bool leaf = false;
    bool written = false;
    int uses = 0;  // by nodes that backward has not passed
  };
  struct Node {
    const char* name;
    int output;
    std::vector<int> inputs;  // slots, -1: no gradient wanted
    Pullback pullback;
  };
  Device& device_;
  uint64_t serial_;
  std::vector<Slot> slots_;
  std::vector<Node> nodes_;
  std::function<void(Parameter&)> watcher_;
  bool done_ = false;
};

// How a forward pass runs: where, with a tape or without, training or not. Passed to every op and module;
// there is no global mode.
struct Pass {
  Device& device;
  Tape* tape = nullptr;
  bool training = false;
  LayerObserver* observer = nullptr;

  Backend& backend() const { return device.backend(); }
  // Uninitialised memory of this step.
  Var make(const Shape& shape, DType type) const { return Var(Array(device.step_arena(), shape, type)); }
  Var parameter(Parameter& p) const { return tape ? tape->parameter(p) : Var(p.value); }
  // Of convolution weights: in the form that an input of the type and so many channels in a group asks for.
  Var parameter(Parameter& p, DType type, int64_t channels) const {
    const Array& form = p.read_as(type, channels);
    return tape ? tape->parameter(p, form) : Var(form);
  }
  void record(const char* name, Var& y, const std::vector<Var>& inputs, Pullback pullback) const {
    if (tape) tape->record(name, y, inputs, std::move(pullback));
  }
};

}  // namespace retort
