// What a failing call has to say.
#pragma once
#include <gtest/gtest.h>

#include <string>

#include "engine/base/check.h"

namespace retort::testing {

// Runs `call` and expects an Error of that fault; returns its message, which has to be one line.
template <class Call>
std::string error_of(Fault fault, Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), fault) << error.what();
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error was thrown";
  return "";
}

inline void expect_contains(const std::string& message, const std::string& part) {
  EXPECT_NE(message.find(part), std::string::npos) << "'" << part << "' is missing in: " << message;
}

// Both at once: `call` fails with this fault and a message that contains `part`.
template <class Call>
void expect_fault(Fault fault, const std::string& part, Call&& call) {
  expect_contains(error_of(fault, call), part);
}

}  // namespace retort::testing
