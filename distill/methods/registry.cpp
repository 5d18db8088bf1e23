#include "distill/methods/registry.h"

#include "distill/methods/at.h"
#include "distill/methods/crd.h"
#include "distill/methods/ctkd.h"
#include "distill/methods/dist.h"
#include "distill/methods/dkd.h"
#include "distill/methods/fitnet.h"
#include "distill/methods/kd.h"
#include "distill/methods/mlkd.h"
#include "distill/methods/nkd.h"
#include "distill/methods/pcd.h"
#include "distill/methods/pcd_progressive.h"
#include "distill/methods/pcd_released.h"
#include "distill/methods/reviewkd.h"
#include "distill/methods/rkd.h"
#include "distill/methods/rld.h"
#include "distill/methods/student_alone.h"
#include "engine/base/check.h"
#include "engine/base/nearest.h"
#include "engine/base/text.h"

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

MethodSettings method_settings(const std::string& name) {
  if (const MethodInfo* method = find_method(name)) return MethodSettings(*method);
  std::vector<std::string> names;
  for (const MethodInfo& known : methods()) names.push_back(known.name);
  fail(Fault::usage, "method '", name, "' is unknown; did you mean '", nearest(name, names),
       "'? Methods: ", join(names));
}

std::unique_ptr<Distiller> make_distiller(const MethodSettings& settings, Device& device,
                                          const MethodContext& context) {
  return settings.method().make(settings, device, context);
}

std::unique_ptr<Distiller> make_distiller(const MethodSettings& settings, Device& device, DType type) {
  return make_distiller(settings, device, MethodContext(type));
}

}  // namespace retort
