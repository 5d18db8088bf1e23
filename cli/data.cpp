#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "datasets/detection/open_detection.h"
#include "datasets/detection/scenes.h"
#include "datasets/fetch.h"
#include "datasets/readers/folder.h"
#include "datasets/readers/listing_cache.h"
#include "datasets/readers/pack.h"
#include "distill/mdistiller/config.h"
#include "distill/text/text_format.h"
#include "distill/text/text_table.h"
#include "engine/base/check.h"
#include "engine/base/file.h"
#include "engine/base/nearest.h"

namespace retort {

namespace {

// The recipe alone on stdout, as a file to be: what it leaves out is said on stderr.
void print_recipe(const std::vector<std::string>& words, bool json) {
  check(words.size() == 2, Fault::usage, "data: ", words.size() - 1,
        " arguments follow recipe, expected one: a YAML config of mdistiller");
  const TranslatedConfig config = translate_mdistiller_config(words[1]);
  for (const std::string& note : config.notes) print_error(note);
  json ? print_json({{"toml", config.toml}, {"notes", config.notes}}) : print(config.toml);
}

// "folder:DIR", for actions that look at files.
std::string folder_of(const std::vector<std::string>& words) {
  const std::string prefix = "folder:";
  check(words.size() >= 2 && words[1].starts_with(prefix) && words[1].size() > prefix.size(), Fault::usage,
        "data: ", words[0], " takes a folder of photos, folder:DIR");
  return words[1].substr(prefix.size());
}

void list(const std::vector<std::string>& words, const std::string& labels, bool json) {
  check(words.size() == 2, Fault::usage, "data: ", words.size() - 1,
        " arguments follow list, expected folder:DIR");
  const FolderListing listing = cached_listing(folder_of(words), labels);
  std::vector<int64_t> train(listing.class_names.size()), test = train;
  for (const FolderListing::File& file : listing.train) ++train[size_t(file.label)];
  for (const FolderListing::File& file : listing.test) ++test[size_t(file.label)];
  nlohmann::ordered_json classes = nlohmann::ordered_json::array();
  TextTable table({"class", "name", "train", "test"});
  for (size_t c = 0; c < train.size(); ++c) {
    classes.push_back({{"name", listing.class_names[c]}, {"train", train[c]}, {"test", test[c]}});
    table.add_row(
        {std::to_string(c), listing.class_names[c], std::to_string(train[c]), std::to_string(test[c])});
  }
  if (json) return print_json({{"classes", classes}});
  print(table.plain() + text("\n", with_commas(int64_t(listing.train.size())), " training images, ",
                             with_commas(int64_t(listing.test.size())), " test images\n"));
}

int verify(const std::vector<std::string>& words, const std::string& labels, const std::string& decoder,
           bool json) {
  check(words.size() == 2, Fault::usage, "data: ", words.size() - 1,
        " arguments follow verify, expected folder:DIR");
  const VerifiedFolder found = verify_folder(folder_of(words), labels, decoder_named(decoder));
  if (json) {
    print_json({{"good", found.good}, {"bad", found.bad}});
  } else {
    std::string all;
    for (const std::string& line : found.bad) all += line + "\n";
    print(all + text(with_commas(found.good), " good, ", found.bad.size(), " bad\n"));
  }
  return found.bad.empty() ? 0 : int(Fault::input);
}

void pack(const std::vector<std::string>& words, const std::string& labels, bool json) {
  check(words.size() == 3, Fault::usage, "data: ", words.size() - 1,
        " arguments follow pack, expected two: folder:DIR and FILE");
  const PackedFolder done = pack_folder(folder_of(words), words[2], labels);
  if (json)
    return print_json(
        {{"path", words[2]}, {"pictures", done.pictures}, {"bytes", done.bytes}, {"parts", done.parts}});
  print(text(words[2], ": ", with_commas(done.pictures), " pictures, ", with_commas(done.bytes), " bytes in ",
             counted(done.parts, "part"), "; --data pack:", words[2], "\n"));
}

// A drawn data set as files that other programs read.
void export_set(const std::vector<std::string>& words, bool json) {
  check(words.size() == 3, Fault::usage, "data: ", words.size() - 1,
        " arguments follow export, expected two: scenes and DIR");
  check(words[1].substr(0, words[1].find(':')) == "scenes", Fault::usage, "data: '", words[1],
        "' is no data set to export; expected scenes");
  export_coco(open_detection(words[1]), words[2]);
  json ? print_json({{"path", words[2]}}) : print(words[2] + "\n");
}

}  // namespace

const std::vector<std::string>& data_actions() {
  static const std::vector<std::string> all = {"fetch", "list", "verify", "pack", "export", "recipe"};
  return all;
}

int run_data(const Arguments& arguments) {
  Options options("data", "download, list, verify, pack or export data; translate configs",
                  {"retort data fetch cifar100 data", "retort data list folder:photos",
                   "retort data pack folder:photos photos.pack", "retort data recipe kd.yaml > kd.toml"});
  std::vector<std::string> words;
  std::string url, labels, decoder = "stb";
  bool json = false;
  options.positional(
      "ACTION ...",
      "fetch NAME DIR: cifar100 or cifar10; resumes a broken download. "
      "list, verify folder:DIR: its classes; every file decoded. pack folder:DIR FILE: in a few files. "
      "recipe FILE: mdistiller's YAML as TOML for --config. export scenes DIR: drawn boxes as COCO",
      words);
  options.text("--url", "URL", "fetch: where the same archive lies as well", url);
  options.text("--val-labels", "FILE", "labels of a flat folder of test images, where they lie elsewhere",
               labels);
  options.text("--decoder", "NAME", "verify: stb (the default), turbo or auto", decoder);
  options.flag("--json", "result as JSON", json);
  if (!options.parse(arguments)) return 0;
  const std::string action = words.empty() ? "" : words[0];
  const std::vector<std::string>& actions = data_actions();
  check(std::find(actions.begin(), actions.end(), action) != actions.end(), Fault::usage,
        "data: expected `retort data fetch NAME DIR`, `retort data list folder:DIR`, `retort data verify folder:DIR`, "
        "`retort data pack folder:DIR FILE`, `retort data export scenes DIR` or `retort data recipe FILE`");
  if (action == "verify") return verify(words, labels, decoder, json);
  if (action != "fetch" && action != "recipe") {
    if (action == "list") list(words, labels, json);
    if (action == "pack") pack(words, labels, json);
    if (action == "export") export_set(words, json);
    return 0;
  }
  if (action == "recipe") {
    print_recipe(words, json);
    return 0;
  }
  check(words.size() == 3, Fault::usage, "data: ", words.size() - 1,
        " arguments follow fetch, expected two: NAME (cifar100 or cifar10) and DIR");
  const bool hundred = words[1] == "cifar100";
  check(hundred || words[1] == "cifar10", Fault::usage, "data: '", words[1], "' is no data set to fetch; ",
        suggestion(words[1], {"cifar100", "cifar10"}));
  Archive archive = hundred ? cifar100_archive() : cifar10_archive();
  if (!url.empty()) archive.url = url;
  const std::string path = fetch(archive, words[2]).string();
  json ? print_json({{"path", path}}) : print(path + "\n");
  return 0;
}

}  // namespace retort
