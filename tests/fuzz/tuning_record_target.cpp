// The choices of convolutions that a run keeps, with the right digest.
#include "engine/base/cache_folder.h"
#include "engine/cpu/conv_tuning.h"
#include "tests/fuzz/target.h"

namespace retort::fuzz {

void read_tuning_record(Bytes bytes) {
  std::string record = text_of(bytes);
  size_t digest = record.find('\n');
  if (digest != record.npos) digest = record.find('\n', digest + 1);
  const size_t lines = digest == record.npos ? digest : record.find('\n', digest + 1);
  if (lines != record.npos) {
    const std::string rest = record.substr(lines + 1);
    record = record.substr(0, digest + 1) + digest_of(rest) + '\n' + rest;
  }
  ConvTuning tuning;
  tuning.continue_with(record, "input");
  ConvProblem problem{};
  tuning.find(problem);
  // What a run writes again has to be readable again.
  ConvTuning again;
  again.continue_with(tuning.record(), "what was written");
}

}  // namespace retort::fuzz
