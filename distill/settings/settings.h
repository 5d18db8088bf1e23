// Everything that decides a run: what is written into config.toml, and what reproduces the run.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "distill/methods/registry.h"

namespace retort {

struct DataSettings {
  std::string spec = "synthetic";     // see open_dataset
  // none | crop-flip | resized-crop; auto: crop-flip up to 64 pixels, resized-crop of photos
  std::string augment = "auto";
  // Of photos. The side of the images made of them and the shorter side before their centre is cut out, 0:
  // see DataOptions; who decodes JPEGs; area and ratio of random crops, "LEAST MOST"; what a bad file does;
  // the file that labels a flat folder of test images; decoded photos kept in memory, below 0: a quarter of
  // what there is.
  int size = 0, test_resize = 0;
  std::string decoder = "stb";  // stb | turbo | auto
  std::string scale, ratio;
  std::string bad = "stop";  // stop | skip
  std::string val_labels;
  double cache_gib = -1;
  // How the network that is trained sees images, (byte / 255 - mean) / std per channel: "R G B". Empty: as
  // the weights it starts from say, else the data's own numbers.
  std::string mean, std;
  std::string numbers;  // where mean and std came from, written where they were nobody's
  int views = 162;  // of an image under crop-flip; fewer than all: so many fixed ones, the same in all runs
  bool shuffle = true;
  int64_t limit = 0;       // the first N training images, 0: all
  // Of detectors, whose size above is a picture's shorter side: COCO's files in the folder of coco:DIR;
  // empty: its own names.
  std::string train_json, test_json, images;
  int64_t validation = 0;  // training images held out for choosing "best", 0: the test images choose
  int workers = 2;         // background threads of the loader
};

struct OptimizerSettings {
  std::string kind = "sgd";  // dot: two gradients, see SgdOptions::dot_delta
  double delta = 0.075;      // of dot
  double lr = 0.05;
  double momentum = 0.9;
  double weight_decay = 5e-4;
  bool norm_decay = true;  // weight decay also of norms' scales and shifts
  bool nesterov = false;
};

struct ScheduleSettings {
  // Epochs (from 1), or steps where those are set, after which the learning rate is multiplied by factor. Not
  // set: 150, 180, 210 of 240, scaled to the run's epochs by resolve(); of a detector see there.
  std::optional<std::vector<int>> milestones;
  double factor = 0.1;
  std::string kind = "multistep";  // multistep | cosine: to 0 over the run's steps, without milestones
  int64_t warmup_steps = 0;        // over which lr rises from a thousandth of itself
  // Epochs over whose first, e < ramp, lr is e / ramp of itself: LDRLD's (arXiv:2507.15911). ramp_slip:
  // behind them it stays (ramp - 1) / ramp of itself up to the first milestone, as in its authors' code.
  int64_t ramp = 0;
  bool ramp_slip = false;
  // Of detectors, whose recipes count steps: so many, 0: as many as the epochs have; and after how many it is
  // tested. These are then the run's "epochs", rows of its metrics, whatever the data's length.
  int64_t steps = 0, evaluate_every = 0;
};

struct LossSettings {
  double label_smoothing = 0;  // of the cross-entropy with the labels
};

// A moving average of the student's weights, which is what is tested, kept as best and exported.
struct AverageSettings {
  double decay = 0;  // 0: none
};

// Of detectors: which boxes' logits a method sees, and whether background is one of the classes.
struct MethodBoxes {
  bool positives = false, background = true;
};

// How the teacher's logits are kept where they come from a table, see StoredTeacher.
struct TeacherTableSettings {
  std::string precision = "f32";  // f32 | f16
  std::string fill = "auto";      // lazy: as they are met; ahead: before the first step; auto: ahead on cuda
  std::string folder;             // of all tables; empty: cache_folder()
  double limit_gib = 8;           // of all tables in the folder
};

struct RunSettings {
  std::string command = "train";   // train | distill
  std::string model;               // the network that is trained
  bool double_batch_norm = false;  // of the network, see ModelOptions
  std::string teacher;             // a run folder, RUN:best, or a weights file
  std::string teacher_model;       // its architecture, where the file does not name it
  // How the teacher sees images, as data.mean and data.std. Empty: as its file says, else the data's own.
  std::string teacher_mean, teacher_std;
  std::string normalize = "own";  // mdistiller: of rcnn_r18, what nobody set of these as its code does
  // live: computed in every step. table: kept on disk and shared between runs. auto: a table where the run is
  // one of a study's, or where there is one already.
  std::string teacher_source = "auto";
  TeacherTableSettings teacher_table;
  std::string init;                // starting weights instead of random ones
  std::string init_head = "kept";  // their last layer: kept, or fresh for other classes
  // Where relative places (data.spec, teacher, init) were typed, relative to the run's folder: see places.h.
  std::string typed_in;
  std::string device = "auto";
  std::string precision = "auto";  // fp32 | tf32 | bf16 | fp16; auto: tf32 on cuda, fp32 elsewhere
  bool eager = false;              // steps are not captured, where the device could
  bool tune = false;               // convolutions' algorithms are measured, not looked up
  int threads = 0;                 // CPU threads, 0: the CPU quota
  uint64_t seed = 1;
  int epochs = 240;
  int64_t batch = 64;
  // Parts that each batch is computed in, each alone: batch norm sees its own part. 0: as many as there are processes.
  int shards = 0;
  std::string reduce = "ordered";  // or fast: how the processes add, see Reduce
  double comm_timeout = 300;  // seconds that another process of the run may be silent
  double checkpoint_minutes =
      5;  // between checkpoints inside an epoch; one is written after every epoch anyway
  DataSettings data;
  OptimizerSettings optimizer;
  ScheduleSettings schedule;
  LossSettings loss;
  AverageSettings ema;
  MethodSettings method = method_settings("ce");
  MethodBoxes method_boxes;
};

// The defaults of a command: train has method ce, distill has pcd.
RunSettings default_settings(const std::string& command);

// What `lay` makes of the defaults. A detector has others: scenes, 10 epochs, batches of 8, and the rates
// that detectron2 trains with, in proportion to the batch; so where a detector is what `lay` settles on, it
// is called again on those; a run shorter than its recipe has as much less of the rate's warm-up.
RunSettings composed_settings(const std::string& command, const std::function<void(RunSettings&)>& lay);

// The files of coco:DIR that keys name (train_json, test_json, images) become part of its spec, over what
// that says of them: the spec alone tells what is opened. composed_settings() has done it.
void name_files(DataSettings& data);

// Why a run of these settings cannot take its teacher's logits from a table; empty if it can.
std::string table_refusal(const RunSettings& settings);

// Whether a device that computes in 16 bits keeps the student's convolutions in them, weights and gradients,
// so that a step casts none, and draws images so; of resolved settings. Several gradients of a weight are
// better added in f32, and the momenta of other kinds are in f32 alone.
bool trains_in_16_bits(const RunSettings& settings);

// Views that an image has under these settings: 1 to view_count.
int views_of(const DataSettings& data);

// Checks what spans several keys (a model of that name, a teacher where the method reads one), and fills in
// what nobody set: where a run has fewer epochs than the recipe's 240, milestones and the method's warm-up
// scale with them; with 240 or more the recipe's own stand. Returns a line for the user for each thing that
// was scaled or is not used. Fault::usage.
std::vector<std::string> resolve(RunSettings& settings);

}  // namespace retort
