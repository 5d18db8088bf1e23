// The row kernels of the data sets, listed once: CMake makes units of them (retort_row_kernels).
#pragma once
#include "datasets/augment/render_row.h"

#define RETORT_DATASETS_ROW_KERNELS(X) X(retort::RenderRow) X(retort::NormalizeRow)
