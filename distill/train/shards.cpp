#include "distill/train/shards.h"

#include <algorithm>
#include <array>

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

Var of_share(const Var& loss, double share, const Pass& pass) {
  return share == 1 ? loss : weighted(pass, loss, share);
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
        if (ways_.empty()) backend.copy(part.gradients, Sink(sum.gradients, Write::accumulate));
        backend.copy(part.tail, Sink(sum.tail.tensor, Write::accumulate));
      }) {
  const Tensor& values = learner.optimizer.values();
  const Shape shape{values.size() * (learner.optimizer.has_two_gradients() ? 2 : 1)};
  // The optimizer has moved them into one flat tensor, which the first begins.
  Tensor own = learner.optimizer.parameters()[0].parameter->grad;
  own.shape = shape;
  for (const NamedParameter& p : learner.optimizer.parameters()) {
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
  // Of two gradients the sum is there with the second.
  if (!device_sum_ || learner.optimizer.has_two_gradients()) return;
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

void Shards::begin() {
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
  note_losses(loss, terms, pass);
  const auto [first, fifth] = right_answers(logits, labels, pass);
  device_.backend().reduce_sum(first, 1, tail(sum_.place(), statistics_ + losses, {1}));
  device_.backend().reduce_sum(fifth, 1, tail(sum_.place(), statistics_ + losses + 1, {1}));
}

void Shards::note(const Var& loss, const std::vector<LossTerm>& terms, const Pass& pass) {
  note_losses(loss, terms, pass);
  device_.backend().fill(tail(sum_.place(), statistics_ + losses, {counts}), 0);
}

void Shards::note_losses(const Var& loss, const std::vector<LossTerm>& terms, const Pass& pass) {
  check(int64_t(terms.size()) < losses, "Shards: ", terms.size(), " loss terms, at most ", losses - 1);
  terms_ = int64_t(terms.size());
  int64_t at = statistics_;
  const auto next = [&] { return tail(sum_.place(), at++, {1}); };
  device_.backend().copy(loss, next());
  for (const LossTerm& term : terms) device_.backend().copy(term.value, next());
  if (!buckets_ || !last_) return;
  ways_ = {sum_.place()};
  for (const int place : sum_.way_down()) ways_.push_back(place);
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

void Shards::add_others(bool gives) {
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

// As the tree adds whole parts.
void Shards::begin_sum(int64_t first, int64_t count) {
  const auto range = [&](int place) { return places_[size_t(place)].gradients.part(first, {count}); };
  for (size_t i = 1; i < ways_.size(); ++i)
    device_.backend().copy(range(ways_[i - 1]), Sink(range(ways_[i]), Write::accumulate));
  device_sum_->begin(range(0), gives_);
}

void Shards::run(int64_t images, const Take& take, MetricTotals& totals) {
  gives_ = givers(images);
  int last = -1;
  for (int i = own_.first; i < own_.end; ++i)
    if (part_of(images, count_, i).count > 0) last = i;
  const auto take_part = [&](int i) {
    last_ = i == last;
    const Part part = part_of(images, count_, i);
    const double share = double(part.count) / double(images);
    begin();
    take(part, share);
    return share;
  };
  if (terms_ < 0 && last < 0) take_part(count_ - 1);
  for (int i = own_.first; i < own_.end; ++i) {
    if (part_of(images, count_, i).count == 0)
      sum_.skip();
    else
      end(take_part(i));
  }
  finish(images, totals);
}

void Shards::finish(int64_t images, MetricTotals& totals) {
  const bool gives = sum_.finish();
  world_ ? add_others(gives) : check(gives, "Shards: every part of the batch was empty");
  for (const Gradient& gradient : gradients_)
    gradient.parameter->grad.tensor.data = static_cast<char*>(places_[0].gradients.data) + gradient.offset;
  ways_.clear();
  move_running(first_);
  move_running(second_);
  totals.add(tail(0, statistics_, {1 + terms_}), tail(0, statistics_ + losses, {counts}), images);
}

}  // namespace retort
