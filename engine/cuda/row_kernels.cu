// The engine's row kernels for the device.
#include "engine/cuda/device_lanes.cuh"
#include "engine/kernels/rows.h"

RETORT_ENGINE_ROW_KERNELS(RETORT_ROW_KERNEL_ON_DEVICE)
