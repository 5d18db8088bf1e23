#include "distill/mdistiller/methods.h"

namespace retort {

namespace {

const char* const of_networks = "here it follows from the networks";

// One key in several sections: KD itself, which such methods read, or a fork's own.
std::vector<std::string> kd_names(const std::vector<std::string>& sections, const std::string& key) {
  std::vector<std::string> names;
  for (const std::string& section : sections) names.push_back(section + "." + key);
  return names;
}

MdistillerMethod multi_level(const std::vector<std::string>& types, int views) {
  std::vector<std::string> sections = {"KD"};
  sections.insert(sections.end(), types.begin(), types.end());
  MdistillerMethod method = {types,
                             "mlkd",
                             {{"method.temperature", kd_names(sections, "TEMPERATURE"), "4"},
                              {"method.ce_weight", kd_names(sections, "LOSS.CE_WEIGHT"), "0.1"},
                              {"method.beta", kd_names(sections, "LOSS.KD_WEIGHT"), "0.9"}}};
  method.views = views;
  return method;
}

}  // namespace

const std::vector<MdistillerMethod>& mdistiller_methods() {
  static const std::vector<MdistillerMethod> all = {
      {{"NONE", "VANILLA"}, "ce"},
      {{"KD"},
       "kd",
       {{"method.temperature", {"KD.TEMPERATURE"}, "4"},
        {"method.ce_weight", {"KD.LOSS.CE_WEIGHT"}, "0.1"},
        {"method.alpha", {"KD.LOSS.KD_WEIGHT"}, "0.9"}}},
      {{"DKD"},
       "dkd",
       {{"method.temperature", {"DKD.T"}, "4"},
        {"method.ce_weight", {"DKD.CE_WEIGHT"}, "1"},
        {"method.alpha", {"DKD.ALPHA"}, "1"},
        {"method.beta", {"DKD.BETA"}, "8"},
        {"method.warmup", {"DKD.WARMUP"}, "20"}},
       {{"DKD.LOSS_TYPE", {"kl"}, "here it is kl"}}},
      {{"DIST"},
       "dist",
       {{"method.temperature", {"DIST.T", "DIST.TAU", "DIST.TEMPERATURE"}},
        {"method.ce_weight", {"DIST.CE_WEIGHT", "DIST.LOSS.CE_WEIGHT", "DIST.CE_LOSS_WEIGHT"}},
        {"method.beta", {"DIST.BETA", "DIST.LOSS.beta"}},
        {"method.gamma", {"DIST.GAMMA", "DIST.LOSS.gamma"}},
        {"method.warmup", {"DIST.WARMUP"}}},
       {{"DIST.LOSS.KD_WEIGHT", {"1"}, "here it is 1"}, {"DIST.DIST_LOSS_WEIGHT", {"1"}, "here it is 1"}}},
      {{"NKD"},
       "nkd",
       {{"method.temperature", {"NKD.T", "NKD.TEMPERATURE"}},
        {"method.ce_weight", {"NKD.CE_WEIGHT", "NKD.LOSS.CE_WEIGHT"}},
        {"method.gamma", {"NKD.GAMMA"}}},
       {{"NKD.KD_WEIGHT", {"1"}, "here it is 1"},
        {"NKD.NKD_WEIGHT", {"1"}, "here it is 1"},
        {"NKD.LOSS.KD_WEIGHT", {"1"}, "here it is 1"}}},
      multi_level({"MLKD", "MLLD"}, 2),
      multi_level({"MLKD_NOAUG"}, 1),
      {{"CTKD"},
       "ctkd",
       {{"method.ce_weight", kd_names({"KD", "CTKD"}, "LOSS.CE_WEIGHT"), "0.1"},
        {"method.alpha", kd_names({"KD", "CTKD"}, "LOSS.KD_WEIGHT"), "0.9"},
        {"method.curriculum", {"CTKD.DECAY_LOOPS"}}},
       {{"KD.TEMPERATURE", {}, "the temperature is learned"}}},
      {{"RLD"},
       "rld",
       {{"method.temperature", {"RLD.T"}, "4"},
        {"method.temperature_a", {"RLD.ALPHA_T"}, "1"},
        {"method.ce_weight", {"RLD.CE_WEIGHT"}, "1"},
        {"method.alpha", {"RLD.ALPHA"}, "1"},
        {"method.beta", {"RLD.BETA"}, "8"},
        {"method.warmup", {"RLD.WARMUP"}, "20"}},
       {},
       0,
       "temperature_a: the authors' command sets it to temperature, with --same-t; their file says 1."},
      {{"PCD"},
       "pcd-released",
       {{"method.temperature", {"PCD.T"}, "4"},
        {"method.ce_weight", {"PCD.CE_WEIGHT"}, "1"},
        {"method.alpha", {"PCD.ALPHA"}, "1"},
        {"method.stages", {"PCD.STEPS"}, "3"},
        {"method.warmup", {"PCD.WARMUP"}, "20"}},
       {},
       0,
       "PCD of that code is pcd-released here: what its authors' code computes. Their paper's formulas are "
       "pcd."},
      {{"FITNET"},
       "fitnet",
       {{"method.stage", {"FITNET.HINT_LAYER"}, "2"},
        {"method.ce_weight", {"FITNET.LOSS.CE_WEIGHT"}, "1"},
        {"method.alpha", {"FITNET.LOSS.FEAT_WEIGHT"}, "100"}},
       {{"FITNET.INPUT_SIZE", {}, of_networks}}},
      {{"AT"},
       "at",
       {{"method.ce_weight", {"AT.LOSS.CE_WEIGHT"}, "1"}, {"method.alpha", {"AT.LOSS.FEAT_WEIGHT"}, "1000"}},
       {{"AT.P", {"2"}, "here it is 2"}}},
      {{"RKD"},
       "rkd",
       {{"method.ce_weight", {"RKD.LOSS.CE_WEIGHT"}, "1"},
        {"method.alpha", {"RKD.DISTANCE_WEIGHT"}, "25", "RKD.LOSS.FEAT_WEIGHT"},
        {"method.beta", {"RKD.ANGLE_WEIGHT"}, "50", "RKD.LOSS.FEAT_WEIGHT"}},
       {{"RKD.PDIST.EPSILON", {"1e-12"}, "here it is 1e-12"},
        {"RKD.PDIST.SQUARED", {"False"}, "here it is False"}}},
      {{"CRD"},
       "crd",
       {{"method.ce_weight", {"CRD.LOSS.CE_WEIGHT"}, "1"},
        {"method.alpha", {"CRD.LOSS.FEAT_WEIGHT"}, "0.8"},
        {"method.temperature", {"CRD.NCE.TEMPERATURE"}, "0.07"},
        {"method.negatives", {"CRD.NCE.K"}, "16384"},
        {"method.momentum", {"CRD.NCE.MOMENTUM"}, "0.5"},
        {"method.width", {"CRD.FEAT.DIM"}, "128"}},
       {{"CRD.MODE", {"exact"}, "here it is exact"},
        {"CRD.FEAT.STUDENT_DIM", {}, of_networks},
        {"CRD.FEAT.TEACHER_DIM", {}, of_networks}}},
      {{"REVIEWKD"},
       "reviewkd",
       {{"method.ce_weight", {"REVIEWKD.CE_WEIGHT"}, "1"},
        {"method.alpha", {"REVIEWKD.REVIEWKD_WEIGHT"}, "1"},
        {"method.warmup", {"REVIEWKD.WARMUP_EPOCHS"}, "20"}},
       {{"REVIEWKD.SHAPES", {}, of_networks},
        {"REVIEWKD.OUT_SHAPES", {}, of_networks},
        {"REVIEWKD.IN_CHANNELS", {}, of_networks},
        {"REVIEWKD.OUT_CHANNELS", {}, of_networks},
        {"REVIEWKD.MAX_MID_CHANNEL", {"512"}, "here it is 512"},
        {"REVIEWKD.STU_PREACT", {"False"}, "here it is False"}}},
  };
  return all;
}

}  // namespace retort
