// What a program adds to a registry of ours before anybody asks for it.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "engine/base/check.h"

namespace retort {

template <class T>
class AddedList {
 public:
  // who: "add_model: network mine"; asked: why it is too late then. Error(Fault::internal) once all() was called.
  void add(T one, const std::string& who, const char* asked) {
    check(!closed_, who, " comes too late, ", asked, "; add it before retort::main()");
    all_.push_back(std::move(one));
  }

  // In the order in which they were added; from now on no more can be.
  const std::vector<T>& all() {
    closed_ = true;
    return all_;
  }

 private:
  std::vector<T> all_;
  bool closed_ = false;
};

}  // namespace retort
