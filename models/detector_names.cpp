#include "models/detector_names.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <set>

#include "engine/base/byte_reader.h"
#include "engine/base/text.h"
#include "layers/formats/state_dict_search.h"
#include "layers/formats/weights_file.h"

namespace retort {

namespace {

const std::string bottom_up = "backbone.bottom_up.", predictor = "roi_heads.box_predictor.";
const std::string torchvision_body = "backbone.body.";
constexpr int64_t places_of_box = 7 * 7;
// ImageNet's mean and deviation; deviation 1 where white is 255.
constexpr const char *usual_mean = "0.485 0.456 0.406", *usual_deviation = "0.229 0.224 0.225",
                     *no_deviation = "0.003921569 0.003921569 0.003921569";

std::vector<std::string> split(const std::string& name) {
  std::vector<std::string> parts(1);
  for (const char c : name) {
    if (c == '.')
      parts.emplace_back();
    else
      parts.back() += c;
  }
  return parts;
}

std::string joined(const std::vector<std::string>& parts) {
  return join(parts, ".");
}

bool replace_beginning(std::string& name, const std::string& from, const std::string& to) {
  if (!name.starts_with(from)) return false;
  name = to + name.substr(from.size());
  return true;
}

bool is_number(const std::string& text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); });
}

// conv1.weight, layer1.0.bn2.bias, layer1.0.downsample.1.weight -> ours; another name stays.
std::string resnet_name(const std::string& name) {
  std::vector<std::string> p = split(name);
  if (p[0] == "conv1") p[0] = "stem.conv1";
  if (p[0] == "bn1") p[0] = "stem.conv1.norm";
  if (p.size() < 4 || !p[0].starts_with("layer") || p[0].size() != 6) return joined(p);
  p[0] = text("res", char(p[0][5] + 1));
  if (p[2].size() == 3 && p[2].starts_with("bn")) p[2] = text("conv", p[2][2], ".norm");
  if (p[2] == "downsample") {
    p[2] = p[3] == "0" ? "shortcut" : "shortcut.norm";
    p.erase(p.begin() + 3);
  }
  return joined(p);
}

// features.N.conv.K, as tonylins numbers all layers of a block (convolution, norm, ReLU6, ...), or as
// torchvision, which puts the three in a part of their own: `nested`.
std::string mobilenet_name(const std::string& name, bool nested) {
  std::vector<std::string> p = split(name);
  if (p.size() < 4 || p[0] != "features") return name;
  if (p[1] == "0" && p.size() == 4) {
    if (p[2] == "1") p[2] = "0.norm";
    return joined(p);
  }
  if (p[2] != "conv" || p.size() < 5 || !is_number(p[3]) || p[3].size() > 1) return name;
  const int place = p[3][0] - '0';
  if (nested && p.size() == 6) {
    p[3] = text(3 * place, p[4] == "1" ? ".norm" : "");
    p.erase(p.begin() + 4);
  } else if (nested) {
    const int last = p[1] == "1" ? 1 : 2;  // the first block has no expansion
    p[3] = text(3 * last, place > last ? ".norm" : "");
  } else if (place % 3 == 1) {
    p[3] = text(place - 1, ".norm");
  }
  return joined(p);
}

// conv1_w, res_conv1_bn_s, res2_0_branch2a_bn_b -> ours.
std::string msra_name(std::string name) {
  std::string what = ".weight";
  const auto ends = [&](const std::string& ending, const std::string& means) {
    if (!name.ends_with(ending)) return false;
    name.resize(name.size() - ending.size());
    what = means;
    return true;
  };
  ends("_bn_s", ".norm.weight") || ends("_bn_b", ".norm.bias") || ends("_w", ".weight") ||
      ends("_b", ".bias");
  if (name == "conv1" || name == "res_conv1") return "stem.conv1" + what;
  const size_t branch = name.find("_branch");
  const size_t middle = name.find('_');
  if (!name.starts_with("res") || branch == name.npos || middle >= branch) return name + what;
  const std::string which = name.substr(branch + 7);
  const std::string layer = which == "1" ? "shortcut"
                            : which.size() == 2 && which.starts_with("2")
                                ? text("conv", char(which[1] - 'a' + '1'))
                                : which;
  return name.substr(0, middle) + "." + name.substr(middle + 1, branch - middle - 1) + "." + layer + what;
}

std::string torchvision_name(std::string name) {
  if (name.starts_with(torchvision_body)) {
    const std::string inner = name.substr(torchvision_body.size());
    return bottom_up + resnet_name(inner);
  }
  for (const auto& [theirs, ours] : {std::pair("inner", "lateral"), std::pair("layer", "output")}) {
    const std::string begin = text("backbone.fpn.", theirs, "_blocks.");
    if (!name.starts_with(begin) || name.size() < begin.size() + 2) continue;
    std::vector<std::string> rest = split(name.substr(begin.size()));
    if (rest.size() == 3 && rest[1] == "0") rest.erase(rest.begin() + 1);  // since torchvision 0.13
    if (!is_number(rest[0]) || rest[0].size() > 1) continue;
    rest[0] = text("backbone.fpn_", ours, char(rest[0][0] + 2));
    return joined(rest);
  }
  const std::string rpn = "proposal_generator.rpn_head.";
  replace_beginning(name, "rpn.head.conv.0.0.", rpn + "conv.") ||
      replace_beginning(name, "rpn.head.conv.", rpn + "conv.") ||
      replace_beginning(name, "rpn.head.cls_logits.", rpn + "objectness_logits.") ||
      replace_beginning(name, "rpn.head.bbox_pred.", rpn + "anchor_deltas.") ||
      replace_beginning(name, "roi_heads.box_head.fc6.", "roi_heads.box_head.fc1.") ||
      replace_beginning(name, "roi_heads.box_head.fc7.", "roi_heads.box_head.fc2.");
  return name;
}

void rename_all(SafeTensors& file, const std::string& source, const auto& name_of) {
  std::set<std::string> known;
  const auto rename = [&](std::string& name) {
    const std::string before = name;
    name = name_of(before);
    check(known.insert(name).second, Fault::input, source, ": two tensors, ", in_quotes(before),
          " and another, are both ", in_quotes(name));
  };
  for (HostTensor& t : file.tensors) rename(t.name);
  for (SafeTensors::LeftOut& t : file.left_out) rename(t.name);
}

void drop(SafeTensors& file, const auto& unwanted) {
  std::erase_if(file.tensors, [&](const HostTensor& t) { return unwanted(t.name); });
  std::erase_if(file.left_out, [&](const SafeTensors::LeftOut& t) { return unwanted(t.name); });
}

HostTensor* find(SafeTensors& file, const std::string& name) {
  for (HostTensor& t : file.tensors)
    if (t.name == name) return &t;
  return nullptr;
}

// Rows of the same size in another order, some perhaps left out.
void take_rows(HostTensor& tensor, const std::vector<int64_t>& rows) {
  const size_t size = tensor.data.size() / size_t(tensor.shape[0]);
  std::vector<std::byte> data(rows.size() * size);
  for (size_t i = 0; i < rows.size(); ++i)
    std::copy_n(tensor.data.begin() + ptrdiff_t(size_t(rows[i]) * size), size,
                data.begin() + ptrdiff_t(i * size));
  tensor.data = std::move(data);
  tensor.shape[0] = int64_t(rows.size());
}

// torchvision's rows: background, then COCO's ids 1 to 90, of which 80 are used, or any number of classes.
// Ours: classes, then background, whose boxes go.
void order_classes(SafeTensors& file) {
  constexpr std::array unused = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83};
  constexpr int64_t ids = 91;
  std::vector<int> known;
  for (const std::string kind : {"weight", "bias"}) {
    HostTensor *const scores = find(file, predictor + "cls_score." + kind), *const boxes =
                                                                                find(file, predictor +
                                                                                               "bbox_pred." +
                                                                                               kind);
    if (!scores || !boxes || scores->shape.empty() || boxes->shape.empty()) continue;
    const int64_t all = scores->shape[0];
    if (all < 2 || boxes->shape[0] != 4 * all) continue;  // refused when it is loaded
    std::vector<int64_t> rows, of_boxes;
    for (int64_t id = 1; id < all; ++id) {
      if (all == ids && std::find(unused.begin(), unused.end(), id) != unused.end()) continue;
      rows.push_back(id);
      for (int64_t k = 0; k < 4; ++k) of_boxes.push_back(4 * id + k);
    }
    if (all == ids) known.assign(rows.begin(), rows.end());
    rows.push_back(0);
    take_rows(*scores, rows);
    take_rows(*boxes, of_boxes);
  }
  if (!known.empty()) file.metadata["category_ids"] = "[" + join(known) + "]";
}

// O,3,kH,kW with the first and the last of the three exchanged.
void turn_channels(SafeTensors& file) {
  for (const char* first : {"stem.conv1.weight", "features.0.0.weight"}) {
    HostTensor* const t = find(file, bottom_up + first);
    if (!t || t->shape.size() != 4 || t->shape[1] != 3 || t->data.empty()) continue;
    const size_t plane = t->data.size() / size_t(t->shape[0]) / 3;
    for (int64_t o = 0; o < t->shape[0]; ++o) {
      std::byte* const red = t->data.data() + size_t(o) * 3 * plane;
      std::swap_ranges(red, red + plane, red + 2 * plane);
    }
  }
}

// PyTorch flattens what a box sees, channels first; our weight keeps the places.
void shape_first_layer(SafeTensors& file) {
  HostTensor* const t = find(file, "roi_heads.box_head.fc1.weight");
  if (t && t->shape.size() == 2 && t->shape[1] % places_of_box == 0)
    t->shape = {t->shape[0], t->shape[1] / places_of_box, 7, 7};
}

// MSRA's norms are a scale and a shift.
void complete_norms(SafeTensors& file) {
  std::vector<HostTensor> added;
  for (const HostTensor& t : file.tensors) {
    if (!t.name.ends_with(".norm.weight")) continue;
    const std::string norm = t.name.substr(0, t.name.size() - 6);
    const auto all = [&](const char* what, float value) {
      const std::vector<float> values(t.data.size() / size_of(t.type), value);
      const auto bytes = std::as_bytes(std::span(values));
      added.push_back({norm + what, DType::f32, t.shape, {bytes.begin(), bytes.end()}});
    };
    all("running_mean", 0.0f);
    all("running_var", 1.0f - 1e-5f);  // and 1e-5 is added to it
  }
  for (HostTensor& t : added) file.tensors.push_back(std::move(t));
}

bool has(const SafeTensors& file, const std::string& name) {
  return file.find(bottom_up + name) != nullptr;
}

// As its backbone's blocks tell; empty where they do not.
std::string architecture_of_blocks(const SafeTensors& file) {
  if (has(file, "features.0.0.weight")) return "rcnn_mv2";
  const HostTensor* const stem = file.find(bottom_up + "stem.conv1.weight");
  if (!stem || stem->shape.empty()) return "";
  if (!has(file, "res2.0.conv3.weight")) {
    if (has(file, "res2.2.conv1.weight")) return "";
    return stem->shape[0] == 64   ? "rcnn_r18"
           : stem->shape[0] == 32 ? "rcnn_small"
           : stem->shape[0] == 16 ? "rcnn_tiny"
                                  : "";
  }
  return has(file, "res4.22.conv1.weight") ? "rcnn_r101" : has(file, "res4.6.conv1.weight") ? "" : "rcnn_r50";
}

// Where networks lie in a file: what stands before the names of their first layers.
std::vector<std::string> networks_in(const SafeTensors& file) {
  std::set<std::string> prefixes;
  for (const HostTensor& t : file.tensors)
    for (const std::string& first : {bottom_up + "stem.conv1.weight", bottom_up + "features.0.0.weight",
                                     torchvision_body + "conv1.weight"})
      if (t.name == first || t.name.ends_with("." + first))
        prefixes.insert(t.name.substr(0, t.name.size() - first.size()));
  return {prefixes.begin(), prefixes.end()};
}

// Keeps one of the networks and takes its prefix off.
void keep_one(SafeTensors& file, std::vector<std::string> prefixes, const std::string& name) {
  const auto rank = [](const std::string& prefix) {
    return prefix.empty() ? NameRank::top : rank_of_name(prefix.substr(0, prefix.size() - 1));
  };
  std::stable_sort(prefixes.begin(), prefixes.end(),
                   [&](const std::string& a, const std::string& b) { return rank(a) < rank(b); });
  const std::string kept = prefixes[0];
  check(prefixes.size() == 1 || rank(kept) < rank(prefixes[1]), Fault::input, name,
        ": detectors are found under ", in_quotes(kept), " and ",
        in_quotes(prefixes.size() > 1 ? prefixes[1] : ""), "; `retort import` can be told which (--entry)");
  std::string others;
  for (size_t i = 1; i < prefixes.size(); ++i) {
    const std::string& other = prefixes[i];
    drop(file, [&](const std::string& t) { return t.starts_with(other) && !kept.starts_with(other); });
    others += (others.empty() ? "" : ", ") + other.substr(0, other.size() - 1);
  }
  drop(file, [&](const std::string& t) { return !t.starts_with(kept); });
  rename_all(file, name, [&](const std::string& t) { return t.substr(kept.size()); });
  if (!others.empty())
    file.notes.push_back(text("took the detector ", kept.empty() ? "without a prefix" : "under " + in_quotes(kept),
                              "; `retort import --entry` takes the other, ", others));
}

// Metadata that say nothing yet.
void say(SafeTensors& file, const char* key, const std::string& value) {
  if (!value.empty()) file.metadata.try_emplace(key, value);
}

void settle_channels(SafeTensors& file, Channels channels, bool usually_bgr) {
  const bool bgr = channels == Channels::usual ? usually_bgr : channels == Channels::bgr;
  if (bgr) turn_channels(file);
  file.notes.push_back(
      bgr ? "a network of BGR images in 0..255: its first layer was turned round, it takes RGB now"
          : "a network of RGB images with ImageNet's mean and deviation");
  say(file, "mean", usual_mean);
  say(file, "std", bgr ? no_deviation : usual_deviation);
}

bool is_msra(const SafeTensors& file) {
  return file.find("conv1_w") && file.find("res2_0_branch2a_w");
}

void adopt_msra(SafeTensors& file, const std::string& name, Channels channels) {
  // Beside the classifier a bias of the first convolution, which detectors have always left out.
  drop(file, [](const std::string& t) {
    return t.starts_with("fc1000") || t.starts_with("pred_") || t == "conv1_b" || t.ends_with("_momentum");
  });
  rename_all(file, name, [](const std::string& t) { return bottom_up + msra_name(t); });
  complete_norms(file);
  settle_channels(file, channels, true);
}

}  // namespace

DetectorFile detector_file(const SafeTensors& file) {
  if (!has(file, "stem.conv1.weight") && !has(file, "features.0.0.weight")) return DetectorFile::none;
  const bool alone = std::all_of(file.tensors.begin(), file.tensors.end(),
                                 [](const HostTensor& t) { return t.name.starts_with(bottom_up); });
  return alone ? DetectorFile::backbone : DetectorFile::whole;
}

void adopt_detector(SafeTensors& file, const std::string& name, Channels channels) {
  if (is_msra(file)) return adopt_msra(file, name, channels);
  std::vector<std::string> networks = networks_in(file);
  if (networks.empty()) return;
  strip_transparent(file);
  networks = networks_in(file);
  keep_one(file, networks, name);
  const bool torchvision = file.find(torchvision_body + "conv1.weight") != nullptr;
  if (torchvision) {
    rename_all(file, name, torchvision_name);
    order_classes(file);
  }
  drop(file, [](const std::string& t) {
    return t.find("cell_anchors") != t.npos || t.ends_with("pixel_mean") || t.ends_with("pixel_std") ||
           t.starts_with("kd_trans.");  // what a method learned beside the student
  });
  rename_all(file, name, [](const std::string& t) {
    return t.starts_with(bottom_up + "features.")
               ? bottom_up + mobilenet_name(t.substr(bottom_up.size()), false)
               : t;
  });
  shape_first_layer(file);
  const std::string architecture = architecture_of_blocks(file);
  const std::array rgb = {"rcnn_r18", "rcnn_tiny", "rcnn_small"};
  settle_channels(file, channels,
                  !torchvision && std::find(rgb.begin(), rgb.end(), architecture) == rgb.end());
  const bool bottlenecks = has(file, "res2.0.conv3.weight");
  say(file, "architecture",
      architecture.empty() || !torchvision || !bottlenecks ? architecture : architecture + stride_in_3x3);
  const HostTensor* const scores = file.find(predictor + "cls_score.bias");
  if (scores && scores->shape.size() == 1 && scores->shape[0] > 1)
    say(file, "classes", std::to_string(scores->shape[0] - 1));
}

void adopt_backbone(SafeTensors& file, const std::string& name) {
  const bool resnet = file.find("conv1.weight") && file.find("layer1.0.conv1.weight"),
             mobilenet = file.find("features.0.0.weight") && has_name(file, "features.1.conv");
  check(resnet || mobilenet, Fault::input, name,
        ": its names are those of no detector, and of no ImageNet network that can be a detector's backbone "
        "(torchvision's resnet18 to resnet101 or mobilenet_v2, MSRA's R-50 and R-101)");
  drop(file, [&](const std::string& t) {
    return resnet ? t.starts_with("fc.") : !t.starts_with("features.") || t.starts_with("features.18.");
  });
  const bool nested = has_name(file, "features.1.conv.0.0");
  rename_all(file, name, [&](const std::string& t) {
    return bottom_up + (resnet ? resnet_name(t) : mobilenet_name(t, nested));
  });
  say(file, "mean", usual_mean);
  say(file, "std", usual_deviation);
  const std::string architecture = architecture_of_blocks(file);
  if (has(file, "res2.0.conv3.weight")) say(file, "architecture", architecture + stride_in_3x3);
}

}  // namespace retort
