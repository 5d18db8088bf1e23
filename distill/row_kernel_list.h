// The row kernels of the methods, listed once: row_kernels.cpp compiles them for every instruction set.
#pragma once
#include "distill/ctkd_row.h"
#include "distill/log_cosine_row.h"
#include "distill/median_share_row.h"
#include "distill/pcd_row.h"
#include "distill/standardize_row.h"
#include "distill/target_split_row.h"

#define RETORT_DISTILL_ROW_KERNELS(X)                                                                \
  X(retort::PcdRow<float>)                                                                           \
  X(retort::PcdRow<double>)                                                                          \
  X(retort::LogCosineRow<float>)                                                                     \
  X(retort::LogCosineRow<double>)                                                                    \
  X(retort::StandardizeRow<float>) X(retort::StandardizeRow<double>)                                 \
      X(retort::StandardizeGradientRow<float>) X(retort::StandardizeGradientRow<double>)             \
          X(retort::BinaryKlRow<float>) X(retort::BinaryKlRow<double>) X(retort::SubsetKlRow<float>) \
              X(retort::SubsetKlRow<double>) X(retort::LearnedTemperatureKlRow<float>)               \
                  X(retort::LearnedTemperatureKlRow<double>) X(retort::MedianShareRow<float>)        \
                      X(retort::MedianShareRow<double>) X(retort::TopProbabilityRow<float>)          \
                          X(retort::TopProbabilityRow<double>)
