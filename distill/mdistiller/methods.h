// What mdistiller's configs say of each method, and which of our keys that is.
#pragma once
#include <string>
#include <utility>
#include <vector>

namespace retort {

// One of our keys, and whence its value comes.
struct MdistillerKey {
  std::string ours;                 // "optimizer.lr", "method.beta"
  std::vector<std::string>
      theirs;  // "SOLVER.LR"; names that forks differ in: a file sets one of them; none: the fallback
  std::string fallback = "";        // mdistiller's default; empty: it has none, ours stands
  std::string times = "";           // another key of theirs that multiplies the value; its default is 1
  std::vector<std::string> otherwise = {};  // another method's keys, which a fork's code reads for this one:
                                            // where a file sets none of theirs
};

// A key of theirs for which our method has one value only, or none at all.
struct MdistillerFixed {
  std::string theirs;
  std::vector<std::string> same;  // values with which nothing is lost
  std::string reason;             // what is said of any other
};

// A number of theirs with which it would be another training altogether: no recipe is made.
struct MdistillerRefusal {
  std::string theirs;
  enum When { zero, not_zero } when;
  std::string why;
};

struct MdistillerMethod {
  std::vector<std::string> types;  // DISTILLER.TYPE, in capitals
  std::string ours;
  std::vector<MdistillerKey> keys = {};
  std::vector<MdistillerFixed> fixed = {};
  int views = 0;            // value of method.views, 0: the method has no such key
  std::string remark = "";  // for the reader of the recipe
  std::vector<MdistillerRefusal> refused = {};
};

const std::vector<MdistillerMethod>& mdistiller_methods();

// The images that DATASET.TYPE names, and the networks that its names mean there.
struct MdistillerImages {
  std::string type;     // "imagenet"
  std::string spec;     // data.spec; the folder is given with --data
  std::string augment;  // data.augment
  std::vector<std::pair<std::string, std::string>> networks = {};  // theirs, ours; none: all names are ours
  std::string remark = "";                                         // for the reader of the recipe
  bool photos = false;  // larger than the 64 pixels a side up to which images have a second, strong view
};

// The first is the default.
const std::vector<MdistillerImages>& mdistiller_images();

}  // namespace retort
