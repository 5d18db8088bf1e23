#include "engine/profile/profile.h"

#include "engine/profile/forwarding_backend.h"

namespace retort {

namespace {

class Profiled : public ForwardingBackend {
 public:
  Profiled(std::unique_ptr<Backend> backend, Profile& profile)
      : ForwardingBackend(std::move(backend)), profile_(profile) {}

  bool can_capture() const override { return !profile_.recording() && inner().can_capture(); }

 private:
  bool begins(const KernelCall&) override {
    if (profile_.recording()) start_ = profile_.now();
    return profile_.recording();
  }
  void ends(const KernelCall& call) override {
    inner().synchronise();
    profile_.add({call, start_, profile_.now() - start_});
  }

  Profile& profile_;
  double start_ = 0;
};

}  // namespace

void Profile::begin() {
  begun_ = Clock::now();
  if (!started_) first_ = begun_;
  started_ = recording_ = true;
}

void Profile::end() {
  if (recording_) seconds_ += std::chrono::duration<double>(Clock::now() - begun_).count();
  recording_ = false;
}

void Profile::clear() {
  calls_.clear();
  seconds_ = 0;
  started_ = recording_ = false;
}

double Profile::now() const {
  return std::chrono::duration<double>(Clock::now() - first_).count();
}

std::unique_ptr<Backend> make_profiled(std::unique_ptr<Backend> backend, Profile& profile) {
  return std::make_unique<Profiled>(std::move(backend), profile);
}

}  // namespace retort
