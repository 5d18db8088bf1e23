#include "distill/methods.h"

#include "distill/dist.h"
#include "distill/dkd.h"
#include "distill/kd.h"
#include "distill/pcd.h"
#include "distill/pcd_released.h"
#include "distill/student_alone.h"

namespace retort {

const std::vector<MethodInfo>& methods() {
  static const std::vector<MethodInfo> all = {student_alone_method(), kd_method(),  dkd_method(),
                                              dist_method(),          pcd_method(), pcd_released_method()};
  return all;
}

const MethodInfo* find_method(const std::string& name) {
  for (const MethodInfo& method : methods()) {
    if (method.name == name) return &method;
  }
  return nullptr;
}

std::unique_ptr<Distiller> make_distiller(const MethodSettings& settings, Device& device) {
  return settings.method().make(settings, device);
}

}  // namespace retort
