// RETORT_HD marks a function that is compiled for the host and, by nvcc, for the device as well. The only
// place where the preprocessor asks which compiler is at work.
#pragma once

#ifdef __CUDACC__
#define RETORT_HD __host__ __device__ inline
#else
#define RETORT_HD inline
#endif
