// The methods' row kernels for the device.
#include "distill/row_kernel_list.h"
#include "engine/cuda/device_lanes.cuh"

RETORT_DISTILL_ROW_KERNELS(RETORT_ROW_KERNEL_ON_DEVICE)
