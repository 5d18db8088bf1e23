// Files that label photos, and the listings of folders: the first byte says which reader.
#include "datasets/readers/digest_lines.h"
#include "datasets/readers/label_files.h"
#include "datasets/readers/listing_cache.h"
#include "datasets/readers/pack.h"
#include "tests/fuzz/target.h"

namespace retort::fuzz {

void read_label_file(Bytes bytes) {
  const auto which = take<uint8_t>(bytes);
  std::string file = text_of(bytes);
  if (which >= 4) {  // with the right digest: of the listing inside of a pack's index, too
    const size_t last = file.size() < 17 ? 0 : file.size() - 17;
    file = file.substr(0, last);
    const size_t inner = file.find("\nretort-listing");
    if (which > 4 && inner != file.npos && file.size() > inner + 18)
      file = file.substr(0, inner + 1) + with_digest(file.substr(inner + 1, file.size() - inner - 18));
    file = with_digest(std::move(file));
  }
  switch (which) {
    case 0:
      read_label_lines(file, "input");
      break;
    case 1:
      read_solution_csv(file, "input");
      break;
    case 2:
      read_tab_annotations(file, "input");
      break;
    case 3:
      read_numbered_lines(file, "input");
      break;
    case 4:
      listing_text(read_listing(file, "input"));
      break;
    default:
      index_text(read_index(file, "input"));
  }
}

}  // namespace retort::fuzz
