// The methods' row kernels for the instruction set at hand.
#include "distill/row_kernel_list.h"
#include "engine/kernels/run_rows.h"

RETORT_DISTILL_ROW_KERNELS(RETORT_ROW_KERNEL)
