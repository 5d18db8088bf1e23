// Configs of mdistiller and its forks as recipes, for tests.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "distill/mdistiller/config.h"
#include "distill/settings/setting_keys.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace retort::testing {

// A config whose sections before the method's are the usual ones.
inline std::string config(const std::string& type, const std::string& method = "",
                          const std::string& teacher = "resnet56", const std::string& student = "resnet20") {
  return "EXPERIMENT:\n  NAME: \"\"\n  TAG: \"" + type +
         ",a pair\"\n  PROJECT: \"cifar100_trials\"\nDISTILLER:\n  TYPE: \"" + type + "\"\n  TEACHER: \"" +
         teacher + "\"\n  STUDENT: \"" + student +
         "\"\nSOLVER:\n  BATCH_SIZE: 128\n  EPOCHS: 200\n  LR: 0.1\n  LR_DECAY_STAGES: [100, 150]\n"
         "  LR_DECAY_RATE: 0.2\n  WEIGHT_DECAY: 0.0003\n  MOMENTUM: 0.8\n  TYPE: \"SGD\"\n" +
         method;
}

struct Translated {
  RunSettings settings;
  std::string toml;
  std::vector<std::string> notes;
  double number(const std::string& key) const { return settings.method.number(key); }
};

// Translates, and reads the recipe as `retort distill --config` does.
inline Translated translated(const std::string& yaml) {
  TempFolder work;
  const TranslatedConfig config = translate_mdistiller_config(work.write("a.yaml", yaml));
  Translated all{default_settings("distill"), config.toml, config.notes};
  read_settings(work.write("a.toml", config.toml), all.settings);
  RunSettings resolved = all.settings;
  if (resolved.method.method().reads.teacher) {
    resolved.teacher = "teacher.pth";
  } else {
    resolved.command = "train";
  }
  resolve(resolved);
  if (resolved.schedule.kind == "multistep") {
    EXPECT_EQ(resolved.schedule.milestones, all.settings.schedule.milestones);
  }
  return all;
}

inline std::string refusal(const std::string& yaml, Fault fault = Fault::usage) {
  TempFolder work;
  const std::filesystem::path file = work.write("a.yaml", yaml);
  return error_of(fault, [&] { translate_mdistiller_config(file); });
}

inline bool noted(const Translated& all, const std::string& part) {
  return std::any_of(all.notes.begin(), all.notes.end(),
                     [&](const std::string& note) { return note.find(part) != std::string::npos; });
}

}  // namespace retort::testing
