// Stands for the CUDA runtime's header where device code is compiled for the emulated device.
#pragma once
#include "tests/cuda_emulation/device.h"
