// The row kernels of the methods, listed once: CMake makes units of them (retort_row_kernels).
#pragma once
#include "distill/methods/batched_transpose_row.h"
#include "distill/methods/crd_row.h"
#include "distill/methods/crld_row.h"
#include "distill/methods/ctkd_row.h"
#include "distill/methods/edited_kl_row.h"
#include "distill/methods/gdkd_row.h"
#include "distill/methods/kdsvd_row.h"
#include "distill/methods/ldrld_row.h"
#include "distill/methods/log_cosine_row.h"
#include "distill/methods/median_share_row.h"
#include "distill/methods/ofd_row.h"
#include "distill/methods/pcd_row.h"
#include "distill/methods/pkt_row.h"
#include "distill/methods/revision_row.h"
#include "distill/methods/sdd_row.h"
#include "distill/methods/standardize_row.h"
#include "distill/methods/step_row.h"
#include "distill/methods/target_split_row.h"
#include "distill/methods/ttm_row.h"
#include "distill/methods/two_level_target_row.h"
#include "distill/methods/wkd_row.h"

// clang-format off
#define RETORT_DISTILL_ROW_KERNELS_OF(X, T)                                   \
  X(retort::PcdRow<T>) X(retort::LogCosineRow<T>)                             \
  X(retort::StandardizeRow<T>) X(retort::StandardizeGradientRow<T>)           \
  X(retort::BinaryKlRow<T>) X(retort::SubsetKlRow<T>)                         \
  X(retort::LearnedTemperatureKlRow<T>)                                       \
  X(retort::TwoLevelTargetRow<T>) X(retort::EditedKlRow<T>)                   \
  X(retort::TeacherIsRightRow<T>) X(retort::RevisionRow<T>)                   \
  X(retort::PowerKlRow<T>) X(retort::TopRestKlRow<T>)                         \
  X(retort::LocalRelationsRow<T>) X(retort::GatedKlRow<T>)                    \
  X(retort::BatchedTransposeRow<T>) X(retort::NeighbourhoodRow<T>)            \
  X(retort::PartialL2Row<T>) X(retort::JacobiRow<T>)                          \
  X(retort::NearestVectorRow<T>) X(retort::EigenvectorGradientRow<T>)         \
  X(retort::CorrelationGapRow<T>) X(retort::RegionWeightRow<T>)               \
  X(retort::OthersSoftmaxRow<T>) X(retort::OthersSoftmaxGradientRow<T>)       \
  X(retort::MedianShareRow<T>) X(retort::TopProbabilityRow<T>)                \
  X(retort::ContrastScoreRow<T>) X(retort::FirstPartitionRow<T>)              \
  X(retort::ContrastLossRow<T>) X(retort::ContrastGradientRow<T>)             \
  X(retort::SumPartsRow<T>) X(retort::RememberRow<T>)
// Whole steps run in f32 only.
#define RETORT_STEP_ROW_KERNELS(X)                                                                        \
  X(retort::StepRow<float, retort::NoTerm<float>, retort::NoTerm<float>>)                                 \
  X(retort::StepRow<float, retort::KlRow<float>, retort::NoTerm<float>>)                                  \
  X(retort::StepRow<float, retort::PcdRow<float>, retort::NoTerm<float>>)                                 \
  X(retort::StepRow<float, retort::BinaryKlRow<float>, retort::SubsetKlRow<float>>)
#define RETORT_DISTILL_ROW_KERNELS(X)      \
  RETORT_STEP_ROW_KERNELS(X)               \
  X(retort::DrawNegativesRow) \
  RETORT_DISTILL_ROW_KERNELS_OF(X, float)  \
  RETORT_DISTILL_ROW_KERNELS_OF(X, double)
// clang-format on
