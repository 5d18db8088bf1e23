// What the functions of this library answer: an exit code, and one line about what is wrong.
#pragma once
#include <algorithm>
#include <cstring>
#include <exception>
#include <new>

#include "engine/base/check.h"

namespace retort {

// As much of a line as there is room for, the final zero included; message may be null.
inline void tell(char* message, size_t bytes, const char* line) {
  if (!message || bytes == 0) return;
  const size_t length = std::min(std::strlen(line), bytes - 1);
  std::memcpy(message, line, length);
  message[length] = 0;
}

// 0 after `work`, which may leave a note in the message; else the code of what it throws, told there.
template <class Work>
int answer(char* message, size_t bytes, Work&& work) {
  try {
    tell(message, bytes, "");
    work();
    return 0;
  } catch (const Error& error) {
    tell(message, bytes, error.what());
    return int(error.fault());
  } catch (const std::bad_alloc&) {
    tell(message, bytes, "out of memory");
    return int(Fault::memory);
  } catch (const std::exception& error) {
    tell(message, bytes, error.what());
    return int(Fault::internal);
  }
}

}  // namespace retort
