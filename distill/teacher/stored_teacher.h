// The teacher's logits of training batches through a table: rows that are there are read, the others computed
// and stored. What a batch gets is the same bits as from the live teacher (LogitPrecision::f32), whatever the
// table held before.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "datasets/device_batch.h"
#include "datasets/loader.h"
#include "distill/settings/settings.h"
#include "distill/teacher/logit_store.h"
#include "engine/step_graph.h"
#include "models/model.h"

namespace retort {

// Of `epochs` epochs with one of `views` views of every image drawn in each: the expected share of logits
// that an earlier epoch has met already.
double expected_reuse(int epochs, int views);

class StoredTeacher {
 public:
  using Note = std::function<void(const std::string&)>;

  // teacher: frozen, its batch norms folded; images: what the run trains on, `samples` of them; numbers: how
  // the teacher sees them. All must outlive it. Runs the teacher on a few batches to learn which batch sizes
  // give a sample the same bits: convolutions choose their algorithm by the size of the problem. note:
  // receives messages for the user.
  StoredTeacher(Model& teacher, Device& device, const ImageSet& images, const Normalize& numbers,
                int64_t samples, const RunSettings& settings, Note note);

  // A table of these logits is there.
  bool exists() const;

  // Opens or makes the table, within the limit of the cache. Where that fails the teacher is asked instead;
  // the run's results are the same, and a note says so. Returns a line about the table: how much of what the
  // run will ask for, being trained on these samples, is there.
  std::string open(std::span<const int32_t> samples);

  // Of a batch that is computed in parts (settings.shards) these alone are looked up.
  void take_parts(const OwnParts& own) { own_ = own; }

  // The batch's logits on the device, B,C, at an address that is fixed per batch size, until the next call.
  Tensor logits(const HostBatch& batch);

  // Computes what is missing of all views of the loader's samples. False if `go_on` says so. A device that
  // draws the images itself is given only their numbers, and many at once where that gives the same bits.
  bool fill(const std::vector<int32_t>& samples,
            const std::function<bool(int64_t done, int64_t total)>& go_on);

  // Of the logits asked for so far.
  int64_t asked() const { return asked_; }
  int64_t found() const { return found_; }
  // Whether batches of the size are looked up: a sample's logits are the same bits wherever in a batch it
  // lies.
  bool usable(int64_t size) const;

 private:
  void probe();
  bool fills_by_many(int64_t samples);
  std::string stock(std::span<const int32_t> samples) const;
  // What the teacher was asked: of a batch the images at these places, in this order, or the whole batch.
  struct Question {
    std::vector<int64_t> places, slots;  // of what is missing; its slots in the table
    int64_t size;                        // pictures asked for
    bool whole;                          // the batch as it is
  };
  // The teacher is given `size` pictures; read() has its logits in computed_. From the set's bytes: the
  // loader's pixels may be by the student's numbers, or on the device.
  void show(int64_t size, const int32_t* indices, const int32_t* views);
  void read(int64_t size);
  void run(int64_t size, const int32_t* indices, const int32_t* views);
  void make_batches_of(int64_t size);
  // Of a batch or a part; its rows go to `rows`. known: its logits are the same bits in a batch that is
  // usable.
  void look_up(const HostBatch& batch, bool known, float* rows);
  // Takes the rows that are there and enqueues the question for the others, if there are any.
  std::optional<Question> ask(const HostBatch& batch, bool known, float* rows);
  // What the answer, which has been read, comes to.
  void keep(const Question& question, bool known, float* rows);

  Model& teacher_;
  Device& device_;
  const ImageSet& images_;
  const Normalize numbers_;
  const NormalizeTable normalize_;
  const RunSettings settings_;
  Note note_;
  int64_t classes_;
  int64_t batch_, largest_, last_;  // images of a batch, of its largest part, and of an epoch's last batch
  OwnParts own_;
  LogitPrecision precision_;
  std::vector<int64_t> sizes_;  // ascending; of batches that give a sample the same bits as the largest
  std::string identity_;
  std::filesystem::path cache_, folder_;

  std::unique_ptr<StepGraph> graph_;
  std::unique_ptr<DeviceBatch> drawn_;  // where the device draws the images; else they are drawn into:
  Array input_;
  Array logits_;
  std::vector<float> rows_, computed_, drawing_;
  std::vector<int32_t> gathered_indices_, gathered_views_, no_labels_;
  std::unique_ptr<LogitStore> table_;
  bool told_ = false;  // that nothing is stored any more
  int64_t asked_ = 0, found_ = 0;
};

}  // namespace retort
