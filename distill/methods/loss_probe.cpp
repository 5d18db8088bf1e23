#include "distill/methods/loss_probe.h"

#include "distill/methods/pcd.h"
#include "engine/types.h"

namespace retort {

namespace {

void check_input(const MethodSettings& settings, const ProbeInput& input) {
  const MethodInfo& method = settings.method();
  check(!method.reads.features, Fault::usage, "loss: method ", method.name,
        " compares features, which logits do not hold; expected a method that compares logits, as pcd");
  check(views_read(settings) == 1 || !input.strong_student.empty(), Fault::usage, "loss: method ",
        method.name, " is set to read two views, one is given");
  const auto size = size_t(input.samples * input.classes);
  check(input.samples >= 1 && input.classes >= 1, Fault::input, "loss: the logits are ", input.samples, " x ",
        input.classes, ", expected at least one sample and one class");
  check(input.student.size() == size, Fault::input, "loss: the student's logits have ", input.student.size(),
        " numbers, expected ", input.samples, " x ", input.classes);
  if (method.reads.teacher) {
    check(input.teacher.size() == size, Fault::input, "loss: the teacher's logits have ",
          input.teacher.size(), " numbers, the student's are ", input.samples, " x ", input.classes);
  }
  for (const auto* strong : {&input.strong_student, &input.strong_teacher}) {
    check(input.strong_student.empty() || strong->size() == size, Fault::input,
          "loss: a second view's logits have ", strong->size(), " numbers, the first's are ", input.samples,
          " x ", input.classes);
  }
  if (method.reads.class_similarity) {
    check(!input.class_similarity.empty(), Fault::usage, "loss: method ", method.name,
          " reads how alike a teacher sees the classes; give it with --similarity");
    check(input.class_similarity.size() == size_t(input.classes * input.classes), Fault::input,
          "loss: method ", method.name, " reads how alike a teacher sees the classes, ", input.classes, " x ",
          input.classes, " numbers; ", input.class_similarity.size(), " are given (--similarity)");
  }
  check(input.strong_student.empty() || method.reads.two_views, Fault::usage, "loss: method ", method.name,
        " reads one view, two are given");
  check(!method.reads.labels || !input.labels.empty(), Fault::usage, "loss: method ", method.name,
        " reads labels; give them with --labels");
  check(input.labels.empty() || int64_t(input.labels.size()) == input.samples, Fault::input,
        "loss: there are ", input.labels.size(), " labels for ", input.samples, " samples");
  for (size_t i = 0; i < input.labels.size(); ++i) {
    check(input.labels[i] >= 0 && input.labels[i] < input.classes, Fault::input, "loss: label ", i, " is ",
          input.labels[i], ", expected 0 to ", input.classes - 1);
  }
}

// A constant on the device.
template <class T, class From>
Var on_device(const Pass& pass, const std::vector<From>& values, const Shape& shape) {
  const std::vector<T> converted(values.begin(), values.end());
  const Var var = pass.make(shape, DTypeOf<T>::value);
  pass.backend().upload(var, converted.data());
  return var;
}

template <class T>
std::vector<double> on_host(Device& device, const Tensor& tensor) {
  std::vector<T> values(size_t(tensor.size()));
  device.backend().download(values.data(), tensor);
  return {values.begin(), values.end()};
}

}  // namespace

ProbeResult probe_loss(const MethodSettings& settings, Device& device, const ProbeInput& input) {
  check_input(settings, input);
  device.step_arena().rewind();
  ProbeResult result;
  with_real_type(input.arithmetic, "loss", [&]<class T>() {
    Tape tape(device);
    const Pass pass{device, &tape, true};
    const Shape shape{input.samples, input.classes};
    std::vector<Var> memory;  // a leaf does not hold it
    const auto leaf = [&](const std::vector<double>& values) {
      memory.push_back(on_device<T>(pass, values, shape));
      return tape.leaf(memory.back());
    };
    DistillInputs inputs;
    inputs.logits.student = leaf(input.student);
    if (settings.method().reads.teacher) inputs.logits.teacher = on_device<T>(pass, input.teacher, shape);
    if (!input.labels.empty()) inputs.labels = on_device<int32_t>(pass, input.labels, {input.samples});
    if (!input.strong_student.empty()) {
      inputs.strong = {leaf(input.strong_student), on_device<T>(pass, input.strong_teacher, shape)};
    }
    MethodContext context(DTypeOf<T>::value);
    context.class_similarity = input.class_similarity;
    const auto distiller = make_distiller(settings, device, context);
    const std::vector<LossTerm> terms = distiller->distillation_terms(inputs, pass);
    tape.backward(total(terms, pass));
    for (const LossTerm& term : terms) result.terms.push_back({term.name, on_host<T>(device, term.value)[0]});
    for (const auto& [name, value] : result.terms) result.loss += value;
    result.gradient = on_host<T>(device, tape.gradient(inputs.logits.student));
    if (inputs.strong.student)
      result.strong_gradient = on_host<T>(device, tape.gradient(inputs.strong.student));
    for (const NamedParameter& learned : parameters_of(*distiller)) {
      result.learned.push_back({learned.name, on_host<T>(device, learned.parameter->grad)});
    }
  });
  return result;
}

// On one sample of nothing: what does not fit is found here, not in the first step.
void check_method(const MethodSettings& given, int64_t classes) {
  MethodSettings method = given;
  fit_stages(method, classes);
  if (method.method().reads.features) return;
  const auto device = Device::open({.name = "portable", .threads = 1});
  const std::vector<double> zeros(size_t(classes), 0.0);
  ProbeInput input{.samples = 1, .classes = classes, .student = zeros, .teacher = zeros, .labels = {0}};
  if (views_read(method) == 2) input.strong_student = input.strong_teacher = zeros;
  if (method.method().reads.class_similarity) input.class_similarity.assign(size_t(classes * classes), 0.0);
  probe_loss(method, *device, input);
}

}  // namespace retort
