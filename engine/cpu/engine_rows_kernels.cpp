// The engine's row kernels for the instruction set at hand.
#include "engine/kernels/rows.h"
#include "engine/kernels/run_rows.h"

RETORT_ENGINE_ROW_KERNELS(RETORT_ROW_KERNEL)
