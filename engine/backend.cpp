#include "engine/backend.h"

namespace retort {

void Backend::cast(const Tensor& from, const Sink& to) {
  fail(Fault::internal, name(), ": cannot convert ", from.type, " to ", to.to.type);
}
void Backend::update_loss_scale(const Tensor&, const Tensor&) {
  fail(Fault::internal, name(), ": has no loss scaling");
}
void Backend::scaled_sgd(const Tensor&, const Tensor&, const Tensor&, const Tensor&, double, double,
                         const Tensor&) {
  fail(Fault::internal, name(), ": has no loss scaling");
}
void Backend::begin_capture() {
  fail(Fault::internal, name(), ": cannot capture a step");
}
int Backend::end_capture() {
  fail(Fault::internal, name(), ": cannot capture a step");
}
void Backend::replay(int) {
  fail(Fault::internal, name(), ": has no captured step to replay");
}

}  // namespace retort
