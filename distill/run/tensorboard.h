// Event files that TensorBoard reads: records of length and data, each with its checksum; the data is an
// Event of tensorflow/core/util/event.proto, encoded by hand.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "distill/run/metrics_csv.h"

#include "engine/base/descriptor.h"

namespace retort {

class TensorBoard {
 public:
  // Makes a new events.out.tfevents.* in `folder`, beside those of earlier starts of the run; from
  // `first_step` on they no longer count. Failures are Fault::write.
  TensorBoard(const std::filesystem::path& folder, int64_t first_step);
  TensorBoard(const TensorBoard&) = delete;
  TensorBoard& operator=(const TensorBoard&) = delete;

  // One event with a value per tag. Values that are not finite are shown as such.
  void add(int64_t step, const NamedNumbers& scalars);

  // Text under that tag, shown in lines as they are.
  void add_text(int64_t step, std::string_view tag, std::string_view text);

  const std::filesystem::path& file() const { return file_; }

 private:
  void write_event(const std::string& fields);

  std::filesystem::path file_;
  Descriptor descriptor_;
};

// An epoch's values under their tags: the metrics that were measured by their columns (a classifier's are
// mdistiller's tags), and lr, images_per_second, and loss/TERM for each term.
NamedNumbers scalars_of(const EpochMetrics& epoch, const std::vector<std::string>& terms,
                        double images_per_second);

// CRC-32C (Castagnoli), RFC 3720 appendix B.4.
uint32_t crc32c(std::string_view data);

}  // namespace retort
