#include "engine/backend.h"

namespace retort {

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
