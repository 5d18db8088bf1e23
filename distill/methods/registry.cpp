#include "distill/methods/registry.h"

#include "distill/methods/added.h"
#include "distill/methods/pcd.h"
#include "engine/base/check.h"
#include "engine/base/nearest.h"
#include "engine/base/text.h"

namespace retort {

// Each is defined in the method's own file, kd.cpp and so on.
MethodInfo student_alone_method();
MethodInfo kd_method();
MethodInfo dkd_method();
MethodInfo dist_method();
MethodInfo nkd_method();
MethodInfo rld_method();
MethodInfo label_smoothing_method();
MethodInfo teacher_free_method();
MethodInfo swap_method();
MethodInfo rc_method();
MethodInfo revision_method();
MethodInfo ttm_method();
MethodInfo wttm_method();
MethodInfo gdkd_method();
MethodInfo ldrld_method();
MethodInfo wkd_method();
MethodInfo crld_method();
MethodInfo mlkd_method();
MethodInfo ctkd_method();
MethodInfo pcd_released_method();
MethodInfo pcd_progressive_method();
MethodInfo sdd_kd_method();
MethodInfo sdd_dkd_method();
MethodInfo sdd_nkd_method();
MethodInfo simkd_method();
MethodInfo sp_method();
MethodInfo pkt_method();
MethodInfo nst_method();
MethodInfo vid_method();
MethodInfo ofd_method();
MethodInfo kdsvd_method();
MethodInfo fitnet_method();
MethodInfo at_method();
MethodInfo rkd_method();
MethodInfo crd_method();
MethodInfo reviewkd_method();

namespace {

// Own methods first; one from outside that is called as one of them would be either.
std::vector<MethodInfo> with_added(std::vector<MethodInfo> all) {
  for (const MethodInfo& added : added_methods()) {
    for (const MethodInfo& known : all)
      check(known.name != added.name, "add_method: there are two methods ", added.name, "; call yours otherwise");
    all.push_back(added);
  }
  return all;
}

}  // namespace

const std::vector<MethodInfo>& methods() {
  static const std::vector<MethodInfo> all = with_added({
      student_alone_method(),
      // of logits
      kd_method(), dkd_method(), dist_method(), nkd_method(), rld_method(), swap_method(), rc_method(),
      revision_method(), ttm_method(), wttm_method(), gdkd_method(), ldrld_method(), wkd_method(),
      mlkd_method(), crld_method(), ctkd_method(), pcd_method(), pcd_released_method(),
      pcd_progressive_method(),
      // without a teacher
      label_smoothing_method(), teacher_free_method(),
      // of features
      fitnet_method(), at_method(), rkd_method(), crd_method(), reviewkd_method(), sp_method(), pkt_method(),
      nst_method(), vid_method(), ofd_method(), kdsvd_method(), simkd_method(), sdd_kd_method(),
      sdd_dkd_method(), sdd_nkd_method()});
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
  fail(Fault::usage, "method '", name, "' is unknown; ", suggestion(name, names));
}

std::unique_ptr<Distiller> make_distiller(const MethodSettings& settings, Device& device,
                                          const MethodContext& context) {
  return settings.method().make(settings, device, context);
}

std::unique_ptr<Distiller> make_distiller(const MethodSettings& settings, Device& device, DType type) {
  return make_distiller(settings, device, MethodContext(type));
}

}  // namespace retort
