// Without CUDA the methods' row kernels have no device code.
#include "distill/row_kernel_list.h"
#include "engine/row_kernel.h"

RETORT_DISTILL_ROW_KERNELS(RETORT_ROW_KERNEL_WITHOUT_DEVICE)
