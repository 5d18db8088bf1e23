// --set data.KEY=VALUE of a command that reads images but trains nothing: size, test_resize, decoder,
// val_labels, and of coco:DIR train_json, test_json, images.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "cli/options.h"
#include "distill/settings/settings.h"
#include "models/weights.h"

namespace retort {

class DataChoice {
 public:
  DataChoice() = default;
  // Declares the option, which it has to outlive.
  explicit DataChoice(Options& options);

  // One more, as "data.decoder=turbo". Error(Fault::usage) for another key, or a value that it cannot have.
  void add(const std::string& given);
  // Over `data`: what was given. Error(Fault::usage) for files of coco:DIR where the data are others.
  void apply(DataSettings& data) const;
  // What was given, in order, as key and value.
  const std::vector<std::pair<std::string, std::string>>& given() const { return given_; }
  // Size and test_resize of `data` into what the weights of `network` say of their input. Error(Fault::usage)
  // for values that they cannot have; fixed_side: the one that an export sees, 0: any.
  static void put_into(Weights& weights, const std::string& network, const DataSettings& data,
                       int64_t fixed_side = 0);
  // data.size, 0 where it was not given.
  int64_t size() const;

 private:
  std::vector<std::pair<std::string, std::string>> given_;
};

}  // namespace retort
