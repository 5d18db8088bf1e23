// Assembly: everything a run works with, made of its settings once. It is made before the run's folder, so it
// is the check as well: what does not fit together is found here, and nothing is left behind.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "datasets/image_set.h"
#include "datasets/loader.h"
#include "distill/run/progress.h"
#include "distill/settings/schedule.h"
#include "distill/settings/settings.h"
#include "distill/teacher/teacher.h"
#include "distill/train/task.h"
#include "engine/cpu/conv_tuning.h"
#include "engine/distributed/communicator.h"
#include "engine/profile/profile.h"

namespace retort {

struct AssemblyOptions {
  std::string config = {};        // what config.toml shall be from the first step on; empty: what it is
  Communicator* world = nullptr;  // the other processes of the run; must outlive it
  bool profile = false;           // every kernel passes through `profile`
  bool goes_on = false;           // from a checkpoint: the weights it once started from are not read
  bool check_only = false;        // the teacher is neither tested nor are its stored logits opened
  bool untrained_teacher = false;  // random weights in settings.teacher_model, to measure steps with
  std::string convolutions = {};  // the record of a run that goes on, see ConvTuning
  std::string record_name = {};   // where it was read, for messages
  std::string plans = {};         // the folder of cuDNN's plans of a run that goes on, see DeviceOptions
  std::vector<std::string> notes = {};  // of resolve(), for the user: said once the settings are known to fit
};

struct Assembly {
  // settings are resolved (see resolve()); data is what settings.data.spec names, and outlives this.
  Assembly(const RunSettings& settings, const DataSet& data, Progress& progress,
           const AssemblyOptions& options);
  Assembly(const Assembly&) = delete;
  Assembly& operator=(const Assembly&) = delete;

  RunSettings settings;  // device, precision, the teacher's source and the images' numbers decided
  const DataSet& data;
  const std::string config;  // see AssemblyOptions
  Communicator* const world;
  // Where lines for the run's log go; until there is one, they wait in `log`.
  std::function<void(const std::string&)> logger;
  std::vector<std::string> log;

  std::unique_ptr<ConvTuning> tuning;  // with the profile before the device, which uses both to its end
  std::unique_ptr<Profile> profile;
  std::unique_ptr<Device> device;
  std::unique_ptr<Model> student;
  Normalize student_sees{};
  std::unique_ptr<Teacher> teacher;  // where the method reads one
  Split split;                       // of a classifier's images
  std::unique_ptr<Distiller> distiller;
  Schedule schedule;
  std::unique_ptr<Sgd> optimizer;
  std::unique_ptr<WeightAverage> average;
  std::unique_ptr<Task> task;

 private:
  void open_device(const AssemblyOptions& options);
  void make_networks(Progress& progress, const AssemblyOptions& options);
  void split_images(const AssemblyOptions& options);
  void make_method(Progress& progress, const AssemblyOptions& options);
  void make_task(bool check_only);
};

}  // namespace retort
