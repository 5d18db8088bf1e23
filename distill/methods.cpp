#include "distill/methods.h"

#include "distill/at.h"
#include "distill/crd.h"
#include "distill/ctkd.h"
#include "distill/dist.h"
#include "distill/dkd.h"
#include "distill/fitnet.h"
#include "distill/kd.h"
#include "distill/mlkd.h"
#include "distill/nkd.h"
#include "distill/pcd.h"
#include "distill/pcd_progressive.h"
#include "distill/pcd_released.h"
#include "distill/reviewkd.h"
#include "distill/rkd.h"
#include "distill/rld.h"
#include "distill/student_alone.h"

namespace retort {

const std::vector<MethodInfo>& methods() {
  static const std::vector<MethodInfo> all = {student_alone_method(),
                                              kd_method(),
                                              dkd_method(),
                                              dist_method(),
                                              nkd_method(),
                                              rld_method(),
                                              mlkd_method(),
                                              ctkd_method(),
                                              pcd_method(),
                                              pcd_released_method(),
                                              pcd_progressive_method(),
                                              fitnet_method(),
                                              at_method(),
                                              rkd_method(),
                                              crd_method(),
                                              reviewkd_method()};
  return all;
}

const MethodInfo* find_method(const std::string& name) {
  for (const MethodInfo& method : methods()) {
    if (method.name == name) return &method;
  }
  return nullptr;
}

std::unique_ptr<Distiller> make_distiller(const MethodSettings& settings, Device& device,
                                          const MethodContext& context) {
  return settings.method().make(settings, device, context);
}

std::unique_ptr<Distiller> make_distiller(const MethodSettings& settings, Device& device, DType type) {
  return make_distiller(settings, device, MethodContext(type));
}

}  // namespace retort
