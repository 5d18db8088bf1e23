#include "distill/train/shards.h"

#include <algorithm>
#include <array>
#include <bit>

#include "distill/methods/registry.h"
#include "engine/base/text.h"
#include "engine/cuda/cuda.h"

namespace retort {

namespace {

constexpr int64_t losses = 1 + MetricTotals::max_terms, counts = 2;

class NormCollector : public Visitor {
 public:
  std::vector<BatchNorm*> layers;

 protected:
  void on_module(const std::string&, Module& module) override {
    if (auto* norm = dynamic_cast<BatchNorm*>(&module)) layers.push_back(norm);
  }
};

// --device auto is another one where a machine has no GPU: fails on all, since those would add in other ways.
void check_one_device(Communicator& world, const std::string& mine) {
  const std::string first = world.gather(mine).front();
  const Error other(Fault::usage, text("trains on device ", mine, ", the first process on ", first,
                                       ": give all the same --device"));
  world.agree(first == mine ? nullptr : &other);
}

}  // namespace

Tensor rows_of(const Tensor& tensor, const Part& part) {
  if (!tensor) return {};
  std::array<int64_t, Shape::max_rank> extents{};
  for (int i = 0; i < tensor.shape.rank(); ++i) extents[size_t(i)] = tensor.shape[i];
  extents[0] = part.count;
  const int64_t row = tensor.size() / tensor.shape[0];
  return tensor.part(part.first * row, Shape(extents.data(), tensor.shape.rank()));
}

Batch part_of(const Batch& batch, const Part& part) {
  return {.images = rows_of(batch.images, part),
          .labels = rows_of(batch.labels, part),
          .indices = rows_of(batch.indices, part),
          .views = rows_of(batch.views, part),
          .strong = rows_of(batch.strong, part),
          .other_images = rows_of(batch.other_images, part),
          .other_strong = rows_of(batch.other_strong, part)};
}

void check_shards(const RunSettings& settings, int64_t images, int processes) {
  const int shards = settings.shards;
  const auto fits = [&](int n) {
    return n == 1 || (shards % n == 0 && std::has_single_bit(unsigned(shards / n)));
  };
  if (!fits(processes)) {
    std::vector<int> numbers;
    for (int n = 1; n <= shards; ++n)
      if (fits(n)) numbers.push_back(n);
    fail(Fault::usage, "shards is ", shards, ", and there are ", processes,
         " processes: each has to have 1, 2, 4, 8 ... ",
         "parts of a batch, so that the weights do not depend on how many there are; start ",
         join(numbers, " or "), ", or --set shards=", processes);
  }
  if (shards <= 1) return;
  const MethodInfo& method = settings.method.method();
  check(method.name != "crd", Fault::usage, "shards is ", shards,
        ", but crd moves its memory of all images with every batch, in order; --set shards=1");
  check(!settings.double_batch_norm, Fault::usage, "shards is ", shards,
        ", but double_batch_norm moves three norms' statistics twice a step; --set shards=1");
  const int64_t largest = std::min(settings.batch, images);
  check(largest >= shards, Fault::usage, "shards is ", shards, ", but a batch has ", largest,
        largest == 1 ? " image" : " images",
        ": some parts would always be empty; choose a larger --batch, or fewer shards");
}

std::string shards_note(const RunSettings& settings) {
  const MethodInfo& method = settings.method.method();
  if (settings.shards <= 1 || !method.reads.batch) return "";
  return text("the loss of ", method.name, " relates the images of a batch: of each of the ", settings.shards,
              " parts that it is computed in (shards) among themselves");
}

Shards::Shards(Device& device, const Learner& learner, int count, Communicator* world)
    : device_(device),
      count_(count),
      world_(world),
      own_(world ? parts_of_process(count, world->size(), world->rank()) : OwnParts{0, count}),
      first_(norms_of(learner.modules)),
      second_(norms_of(learner.modules_of_second_view)),
      sum_([this](int to, int from) {
        Backend& backend = device_.backend();
        const Place &sum = places_[size_t(to)], &part = places_[size_t(from)];
        backend.copy(part.gradients, Sink(sum.gradients, Write::accumulate));
        backend.copy(part.tail, Sink(sum.tail.tensor, Write::accumulate));
      }) {
  const Tensor& values = learner.optimizer.values();
  const Shape shape{values.size() * (learner.optimizer.has_two_gradients() ? 2 : 1)};
  // The optimizer has moved them into one flat tensor, which the first begins.
  Tensor own = learner.parameters.at(0).parameter->grad;
  own.shape = shape;
  for (const NamedParameter& p : learner.parameters) {
    const auto offset = static_cast<char*>(p.parameter->grad.tensor.data) - static_cast<char*>(own.data);
    check(offset >= 0 && size_t(offset) < own.bytes(), "Shards: the gradient of ", p.name,
          " is not the optimizer's");
    gradients_.push_back({p.parameter, size_t(offset)});
  }
  for (int place = 0; place < TreeSum::places_for(own_.end - own_.first); ++place) {
    if (place > 0) memory_.push_back(device.persistent(shape, own.type));
    places_.push_back({place > 0 ? memory_.back().tensor : own,
                       device.persistent({statistics_ + losses + counts}, own.type)});
  }
  if (world) check_one_device(*world, device.backend().name());
  if (world) device_sum_ = sum_over_gpus(device.backend(), *world);
  // Of several parts the sum is there with the last one, of two gradients with the second.
  if (!device_sum_ || own_.end - own_.first > 1 || learner.optimizer.has_two_gradients()) return;
  std::vector<int64_t> firsts;
  for (const Gradient& gradient : gradients_) {
    numbers_[gradient.parameter] = firsts.size();
    firsts.push_back(int64_t(gradient.offset / size_of(own.type)));
  }
  buckets_.emplace(firsts, own.size(), world->bucket_bytes() / int64_t(size_of(own.type)));
}

std::vector<Shards::Norm> Shards::norms_of(const std::vector<Module*>& modules) {
  NormCollector found;
  for (Module* module : modules) module->visit(found);
  std::vector<Norm> norms;
  for (BatchNorm* layer : found.layers) {
    norms.push_back({layer, layer->running_mean, layer->running_var, layer->momentum, statistics_});
    statistics_ += 2 * layer->running_mean.tensor.size();
  }
  return norms;
}

// A part of a place's tail.
Tensor Shards::tail(int place, int64_t first, const Shape& shape) const {
  return places_[size_t(place)].tail.tensor.part(first, shape);
}

// With momentum 1 a running statistic is that of the batch.
void Shards::observe(std::vector<Norm>& norms) {
  for (Norm& norm : norms) {
    const Shape& shape = norm.running_mean.tensor.shape;
    norm.layer->running_mean.tensor = tail(sum_.place(), norm.offset, shape);
    norm.layer->running_var.tensor = tail(sum_.place(), norm.offset + shape.size(), shape);
    norm.layer->momentum = 1;
  }
}

std::vector<bool> Shards::givers(int64_t images) const {
  std::vector<bool> gives;
  for (int rank = 0; world_ && rank < world_->size(); ++rank)
    gives.push_back(parts_of_process(count_, world_->size(), rank).images_of(images, count_).count > 0);
  return gives;
}

void Shards::begin(int64_t images) {
  gives_ = givers(images);
  for (const Gradient& gradient : gradients_) {
    char* base = static_cast<char*>(places_[size_t(sum_.place())].gradients.data);
    gradient.parameter->grad.tensor.data = base + gradient.offset;
  }
  observe(first_);
}

void Shards::begin_second_view() {
  observe(second_);
}

void Shards::note(const Var& loss, const std::vector<LossTerm>& terms, const Var& logits,
                  const Tensor& labels, const Pass& pass) {
  check(int64_t(terms.size()) < losses, "Shards: ", terms.size(), " loss terms, at most ", losses - 1);
  terms_ = int64_t(terms.size());
  Backend& backend = device_.backend();
  int64_t at = statistics_;
  const auto next = [&] { return tail(sum_.place(), at++, {1}); };
  backend.copy(loss, next());
  for (const LossTerm& term : terms) backend.copy(term.value, next());
  at = statistics_ + losses;
  const auto [first, fifth] = right_answers(logits, labels, pass);
  backend.reduce_sum(first, 1, next());
  backend.reduce_sum(fifth, 1, next());
  // Not where another process's part is only looked at.
  if (!buckets_ || !gives_[size_t(world_->rank())]) return;
  pass.tape->watch([this](Parameter& parameter) {
    const auto number = numbers_.find(&parameter);
    if (number == numbers_.end()) return;
    buckets_->ready(number->second, [this](int64_t begin, int64_t count) { begin_sum(begin, count); });
  });
}

void Shards::end(double share) {
  const Tensor shared = tail(sum_.place(), 0, {statistics_ + losses});
  device_.backend().unary({Unary::affine, share, 0}, shared, shared);
  sum_.push();
}

void Shards::move_running(std::vector<Norm>& norms) {
  Backend& backend = device_.backend();
  const auto move = [&](const Tensor& running, int64_t at, double momentum) {
    backend.unary({Unary::affine, 1 - momentum, 0}, running, running);
    backend.unary({Unary::affine, momentum, 0}, tail(0, at, running.shape), Sink(running, Write::accumulate));
  };
  for (Norm& norm : norms) {
    move(norm.running_mean, norm.offset, norm.momentum);
    move(norm.running_var, norm.offset + norm.running_mean.tensor.size(), norm.momentum);
    norm.layer->running_mean = norm.running_mean;
    norm.layer->running_var = norm.running_var;
    norm.layer->momentum = norm.momentum;
  }
}

void Shards::add_others(int64_t images, bool gives) {
  gives_ = givers(images);
  check(gives == gives_[size_t(world_->rank())], "Shards: this process computed other parts than its own");
  const Tensor &gradients = places_[0].gradients, &tail = places_[0].tail;
  if (!device_sum_) {
    world_->sum(gradients, gives_);
    return world_->sum(tail, gives_);
  }
  if (buckets_)
    buckets_->finish([&](int64_t first, int64_t count) { begin_sum(first, count); });
  else
    device_sum_->begin(gradients, gives_);
  device_sum_->begin(tail, gives_);
  device_sum_->join();
  // A process that is lost is found here, before the device waits for it in a later step. Not earlier: one
  // without images comes here while others, in backward, may wait for its part of a sum.
  world_->gather("");
}

void Shards::begin_sum(int64_t first, int64_t count) {
  device_sum_->begin(places_[0].gradients.part(first, {count}), gives_);
}

void Shards::finish(int64_t images, MetricTotals& totals) {
  const bool gives = sum_.finish();
  world_ ? add_others(images, gives) : check(gives, "Shards: every part of the batch was empty");
  for (const Gradient& gradient : gradients_)
    gradient.parameter->grad.tensor.data = static_cast<char*>(places_[0].gradients.data) + gradient.offset;
  move_running(first_);
  move_running(second_);
  totals.add(tail(0, statistics_, {1 + terms_}), tail(0, statistics_ + losses, {counts}), images);
}

}  // namespace retort
