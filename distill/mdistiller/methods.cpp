#include "distill/mdistiller/methods.h"

namespace retort {

namespace {

const char* const regions = "scales: the authors' command gives them, with --M.";
const char* const regions_and_warmup =
    "scales and warmup: the authors' command gives them, with --M and --warm_up.";
const char* const regions_and_mask =
    "scales: the authors' command gives them, with --M. all_classes: a slip of the mask in their code keeps "
    "the labelled class among the others.";
const char* const of_networks = "here it follows from the networks";

// One key in several sections: KD itself, which such methods read, or a fork's own.
std::vector<std::string> kd_names(const std::vector<std::string>& sections, const std::string& key) {
  std::vector<std::string> names;
  for (const std::string& section : sections) names.push_back(section + "." + key);
  return names;
}

MdistillerMethod multi_level(const std::vector<std::string>& types, int views,
                             const std::string& remark = "") {
  std::vector<std::string> sections = {"KD"};
  sections.insert(sections.end(), types.begin(), types.end());
  MdistillerMethod method = {types,
                             "mlkd",
                             {{"method.temperature", kd_names(sections, "TEMPERATURE"), "4"},
                              {"method.ce_weight", kd_names(sections, "LOSS.CE_WEIGHT"), "0.1"},
                              {"method.beta", kd_names(sections, "LOSS.KD_WEIGHT"), "0.9"}}};
  method.views = views;
  method.remark = remark;
  return method;
}

// What logit standardisation's code (arXiv:2403.01427) was called before it had a switch; and, before that,
// mlkd in its authors' own.
MdistillerMethod standardized_multi_level() {
  MdistillerMethod method = multi_level(
      {"KD_OURS"}, 2,
      "KD_ours: logit standardisation's first code (arXiv:2403.01427), which standardised the logits of all "
      "its terms; here, as in its authors' later code, of the KL only. A file of mlkd's own authors says "
      "KD_ours too and means --set method.standardize=false.");
  method.keys.push_back({"method.standardize", {"EXPERIMENT.LOGIT_STAND"}, "true"});
  return method;
}

// One section for two methods: the weights of WKD-L, of logits, and of WKD-F, of features.
MdistillerMethod transport() {
  MdistillerMethod method = {
      {"WKD", "WKD-L", "WKD_L"},
      "wkd-l",
      {{"method.temperature", {"WKD.TEMPERATURE"}, "4"},
       {"method.ce_weight", {"WKD.LOSS.CE_WEIGHT"}, "1"},
       {"method.alpha", {"WKD.LOSS.KD_WEIGHT", "WKD.LOSS.WKD_LOGIT_WEIGHT"}, "1"},
       {"method.scale", {"WKD.COST_MATRIX_SHARPEN"}, "1"},
       {"method.decay_from", {"WKD.LOSS.COSINE_DECAY_EPOCH"}, "0"}},
      {{"WKD.COST_MATRIX", {"cka"}, "here the costs come of the teacher's features, cka"},
       {"WKD.COST_MATRIX_PATH", {}, "here the costs are computed before the first step"},
       {"WKD.SINKHORN.LAMBDA", {"0.05"}, "here it is 0.05"},
       {"WKD.SINKHORN.ITER", {"10"}, "here it is 10"},
       {"WKD.INPUT_SIZE", {}, of_networks}}};
  method.refused = {
      {"WKD.LOSS.WKD_FEAT_WEIGHT", MdistillerRefusal::not_zero,
       "that is WKD-F, of features, which is not here"},
      {"WKD.LOSS.WKD_LOGIT_WEIGHT", MdistillerRefusal::zero, "nothing is left of WKD-L, the one form here"},
      {"WKD.COST_MATRIX_SHARPEN", MdistillerRefusal::zero,
       "their costs are then 1 - alikeness, here they are 1 - exp(-scale (1 - alikeness))"}};
  return method;
}

}  // namespace

const std::vector<MdistillerMethod>& mdistiller_methods() {
  static const std::vector<MdistillerMethod> all = {
      {{"NONE", "VANILLA"}, "ce"},
      {{"LS-CE"}, "ls-ce"},
      {{"TFKD-REG", "TFKD"}, "tfkd-reg"},
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
        {"method.ce_weight", {"NKD.CE_WEIGHT", "NKD.LOSS.CE_WEIGHT"}, "", "", {"DKD.CE_WEIGHT"}},
        {"method.gamma", {"NKD.GAMMA"}},
        {"method.warmup", {"NKD.WARMUP"}, "", "", {"DKD.WARMUP"}}},
       {{"NKD.KD_WEIGHT", {"1"}, "here it is 1"},
        {"NKD.NKD_WEIGHT", {"1"}, "here it is 1"},
        {"NKD.LOSS.KD_WEIGHT", {"1"}, "here it is 1"}}},
      multi_level({"MLKD", "MLLD"}, 2),
      multi_level({"MLKD_NOAUG"}, 1),
      standardized_multi_level(),
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
      // The name under which that code's first version had it.
      {{"MY"},
       "rld",
       {{"method.temperature", {"MY.T"}, "4"},
        {"method.temperature_a", {"MY.ALPHA_T"}, "1"},
        {"method.ce_weight", {"MY.CE_WEIGHT"}, "1"},
        {"method.alpha", {"MY.ALPHA"}, "1"},
        {"method.beta", {"MY.BETA"}, "8"},
        {"method.warmup", {"MY.WARMUP"}, "20"}},
       {{"MY.GAMMA", {"0"}, "here it is 0"},
        {"MY.METHOD", {"ge_incl"}, "here it is ge_incl"},
        {"MY.LOSS_TYPE", {"kl"}, "here it is kl"}},
       0,
       "MY is an older name of RLD in its authors' code."},
      {{"RC"},
       "rc",
       {{"method.temperature", {"RC.T"}, "4"},
        {"method.ce_weight", {"RC.CE_WEIGHT"}, "1"},
        {"method.alpha", {"RC.KD_WEIGHT"}, "1"},
        {"method.beta", {"RC.RC_WEIGHT"}, "0.1"}}},
      {{"SWAP", "LA"}, "swap", {{"method.temperature", {"KD.TEMPERATURE"}, "4"}}},
      {{"REVISION", "LR"}, "revision"},
      {{"TTM"}, "ttm"},
      {{"WTTM"}, "wttm"},
      {{"GDKD"},
       "gdkd",
       {{"method.temperature", {"GDKD.T"}, "4"},
        {"method.ce_weight", {"GDKD.CE_WEIGHT"}, "1"},
        {"method.k", {"GDKD.TOPK"}, "5"},
        {"method.w0", {"GDKD.W0"}, "1"},
        {"method.w1", {"GDKD.W1"}, "8"},
        {"method.w2", {"GDKD.W2"}, "8"},
        {"method.warmup", {"GDKD.WARMUP"}, "20"}},
       {{"GDKD.STRATEGY", {"best"}, "here the largest classes are set apart"},
        {"GDKD.KL_TYPE", {"forward"}, "here it is forward"}}},
      {{"LDRLD"},
       "ldrld",
       {{"schedule.ramp", {}, "20"}},
       {},
       0,
       "lr: the authors' release, once it has risen over 20 epochs, by a slip keeps 0.95 of it up to the "
       "first milestone; so does --set schedule.ramp_slip=true."},
      transport(),
      {{"CRLD"},
       "crld",
       {{"method.temperature", {"CRLD.TEMPERATURE"}},
        {"method.ce_weight", {"CRLD.CE_WEIGHT"}},
        {"method.alpha", {"CRLD.WV_WEIGHT"}},
        {"method.beta", {"CRLD.CV_WEIGHT"}},
        {"method.threshold", {"CRLD.TAU_W"}},
        {"method.strong_threshold", {"CRLD.TAU_S"}}},
       {},
       2},
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
      {{"SP"},
       "sp",
       {{"method.ce_weight", {"SP.LOSS.CE_WEIGHT"}, "1"}, {"method.alpha", {"SP.LOSS.FEAT_WEIGHT"}, "3000"}}},
      {{"PKT"},
       "pkt",
       {{"method.ce_weight", {"PKT.LOSS.CE_WEIGHT"}, "1"},
        {"method.alpha", {"PKT.LOSS.FEAT_WEIGHT"}, "30000"}}},
      {{"NST"},
       "nst",
       {{"method.ce_weight", {"NST.LOSS.CE_WEIGHT"}, "1"}, {"method.alpha", {"NST.LOSS.FEAT_WEIGHT"}, "50"}}},
      {{"VID"},
       "vid",
       {{"method.ce_weight", {"VID.LOSS.CE_WEIGHT"}, "1"},
        {"method.alpha", {"VID.LOSS.FEAT_WEIGHT"}, "1"},
        {"method.variance", {"VID.INIT_PRED_VAR"}, "5"},
        {"method.fixed_variance", {"VID.FIXED_VARIANCE"}, "true"}},
       {{"VID.EPS", {"1e-5"}, "here it is 1e-5"}, {"VID.INPUT_SIZE", {}, of_networks}},
       0,
       "fixed_variance: mdistiller's code never trains the variances; RepDistiller, whose numbers papers "
       "quote, does."},
      {{"OFD"},
       "ofd",
       {{"method.ce_weight", {"OFD.LOSS.CE_WEIGHT"}, "1"},
        {"method.alpha", {"OFD.LOSS.FEAT_WEIGHT"}, "0.001"}},
       {{"OFD.CONNECTOR.KERNEL_SIZE", {"1"}, "here it is 1"}}},
      {{"KDSVD"},
       "kdsvd",
       {{"method.ce_weight", {"KDSVD.LOSS.CE_WEIGHT"}, "1"},
        {"method.alpha", {"KDSVD.LOSS.FEAT_WEIGHT"}, "1"}},
       {{"KDSVD.K", {"1"}, "here it is 1"}}},
      {{"SIMKD"},
       "simkd",
       {{"method.ce_weight", {"SIMKD.CE_WEIGHT", "SIMKD.LOSS.CE_WEIGHT"}},
        {"method.alpha", {"SIMKD.FEAT_WEIGHT", "SIMKD.LOSS.FEAT_WEIGHT"}}},
       {{"SIMKD.FACTOR", {"2"}, "here it is 2"}, {"SIMKD.INPUT_SIZE", {}, of_networks}}},
      // GLD and GL: what SDD was called before, in some of its authors' files.
      {{"SDD_KD", "SDD-KD", "GLD_KD", "GL_KD"},
       "sdd-kd",
       {{"method.temperature", {"KD.TEMPERATURE"}, "4"},
        {"method.ce_weight", {"KD.LOSS.CE_WEIGHT"}, "0.1"},
        {"method.alpha", {"KD.LOSS.KD_WEIGHT"}, "0.9"}},
       {},
       0,
       regions},
      {{"SDD_DKD", "SDD-DKD", "GLD_DKD", "GL_DKD"},
       "sdd-dkd",
       {{"method.temperature", {"DKD.T"}, "4"},
        {"method.ce_weight", {"DKD.CE_WEIGHT"}, "1"},
        {"method.alpha", {"DKD.ALPHA"}, "1"},
        {"method.beta", {"DKD.BETA"}, "8"},
        {"method.warmup", {"DKD.WARMUP"}, "20"}},
       {},
       0,
       regions_and_warmup},
      {{"SDD_NKD", "SDD-NKD", "GLD_NKD", "GL_NKD"},
       "sdd-nkd",
       {{"method.temperature", {"NKD.T", "NKD.TEMPERATURE"}, "4", "", {"DKD.T"}},
        {"method.ce_weight", {"NKD.CE_WEIGHT", "NKD.LOSS.CE_WEIGHT"}, "1", "", {"DKD.CE_WEIGHT"}},
        {"method.gamma", {"NKD.GAMMA"}, "8", "", {"DKD.BETA"}},
        {"method.warmup", {"NKD.WARMUP"}, "20", "", {"DKD.WARMUP"}},
        {"method.all_classes", {}, "true"}},
       {},
       0,
       regions_and_mask},
      {{"REVIEWKD"},
       "reviewkd",
       {{"method.ce_weight", {"REVIEWKD.CE_WEIGHT"}, "1"},
        {"method.alpha", {"REVIEWKD.REVIEWKD_WEIGHT"}, "1"},
        {"method.warmup", {"REVIEWKD.WARMUP_EPOCHS"}, "20"},
        {"method.width", {"REVIEWKD.MAX_MID_CHANNEL"}, "512"},
        {"method.before_relu", {"REVIEWKD.STU_PREACT"}, "false"}},
       {{"REVIEWKD.SHAPES", {}, of_networks},
        {"REVIEWKD.OUT_SHAPES", {}, of_networks},
        {"REVIEWKD.IN_CHANNELS", {}, of_networks},
        {"REVIEWKD.OUT_CHANNELS", {}, of_networks}}},
  };
  return all;
}

const std::vector<MdistillerImages>& mdistiller_images() {
  static const std::vector<MdistillerImages> all = {
      {"cifar100", "cifar100:data", "auto"},
      {"cifar10", "cifar10:data", "auto"},
      {"imagenet",
       "folder:data/imagenet",
       "auto",
       {{"ResNet18", "resnet18_imagenet"},
        {"ResNet34", "resnet34_imagenet"},
        {"ResNet50", "resnet50_imagenet"},
        {"ResNet101", "resnet101_imagenet"},
        {"MobileNetV1", "MobileNetV1"}},
       "Batch norms there see the batch divided by the number of GPUs: --set shards=8 does as eight.",
       true},
      {"tiny_imagenet",
       "folder:data/tiny-imagenet-200",
       "crop-flip",
       {},
       "That toolkit's rotation by up to 20 degrees is not reproduced."},
  };
  return all;
}

}  // namespace retort
