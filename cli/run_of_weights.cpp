#include "cli/run_of_weights.h"

#include "cli/output.h"
#include "datasets/open.h"
#include "distill/run/named_weights.h"
#include "distill/run/run_folder.h"
#include "distill/run/sealed.h"
#include "distill/study/places.h"
#include "distill/study/recorded_run.h"
#include "engine/base/check.h"
#include "engine/base/text.h"
#include "models/network_input.h"

namespace retort {

std::optional<RunSettings> settings_of_run(const std::string& spec) {
  const std::string folder = weights_spec(spec).path;
  if (!RunFolder::is_run(folder)) return std::nullopt;
  const RecordedRun run = read_recorded_run(folder);
  for (const std::string& note : run.notes) print_error("note: " + note);
  if (!run.bound) print_error("note: " + unbound_note(folder));
  return placed(run.settings, folder);
}

DataSettings data_of(const Weights& weights) {
  if (const std::optional<RunSettings> settings = settings_of_run(weights.source)) return settings->data;
  const std::string* name = weights.metadata("data");
  check(name && is_drawn(*name), Fault::usage, weights.source, ": the file does not say where its ",
        name ? *name + " images lie" : "images are", "; name the data with --data");
  DataSettings drawn;
  drawn.spec = *name;
  return drawn;
}

DataSettings data_of(const Weights& weights, const std::string& given) {
  if (given.empty()) return data_of(weights);
  DataSettings data;
  data.spec = given;
  const std::string folder = weights_spec(weights.source).path;
  if (!RunFolder::is_run(folder)) return data;
  const DataSettings own = placed(read_recorded_run(folder).settings, folder).data;
  data.spec = data_elsewhere(given, own.spec);
  data.val_labels = labels_elsewhere(given, own);
  return data;
}

void note_changed_images(const Weights& weights, const ImageSet& test) {
  const std::string* const known = weights.metadata(test_hash_key);
  const std::string now = text(std::hex, test.hash());
  if (known && *known != now)
    print_error(text("note: ", weights.source,
                     ": the test images of its data are not those of its training (their hash was ", *known,
                     ", now it is ", now, "): results are of others"));
}

std::string not_its_teacher(const Weights& weights, const Weights& teacher) {
  const std::string* const known = weights.metadata("teacher_hash");
  if (!known || known->empty()) return "";
  const std::string now = weights_hash(teacher.file);
  return *known == now ? "" : not_the_teacher(teacher.source, now, weights.source, *known);
}

int64_t pictures_size(const Weights& weights, int64_t given) {
  if (given > 0) return given;
  if (const std::string* const said = weights.metadata("pictures_size")) {
    int64_t size = 0;
    check(parse(*said, size) && size >= 1 && size <= most_side, Fault::input, weights.source,
          ": 'pictures_size' is '", *said, "', expected pixels, 1 to ", most_side);
    return size;
  }
  // Weights of before say nothing of it; their run does.
  const std::string folder = weights_spec(weights.source).path;
  return RunFolder::is_run(folder) ? read_run_settings(folder).data.size : 0;
}

}  // namespace retort
