// Without CUDA the engine's row kernels have no device code.
#include "engine/kernels/rows.h"
#include "engine/row_kernel.h"

RETORT_ENGINE_ROW_KERNELS(RETORT_ROW_KERNEL_WITHOUT_DEVICE)
