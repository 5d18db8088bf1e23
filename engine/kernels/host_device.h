// RETORT_HD marks a function that is compiled for the host and, by nvcc, for the device as well. On the host
// it is always inlined: the same function is compiled several times with other instruction sets, and a copy
// out of line would be shared between them. The only place where the preprocessor asks which compiler is at
// work.
//
// RETORT_HD_OUT_OF_LINE is for a member template over Lanes, whose type is distinct per instruction set, so
// that nothing is shared, which a row kernel calls in a loop: g++ vectorises no lanes.sum or lanes.max that
// is inlined into a loop nest.
#pragma once

#ifdef __CUDACC__
#define RETORT_HD __host__ __device__ __forceinline__
#define RETORT_HD_OUT_OF_LINE __host__ __device__ __forceinline__
#else
#define RETORT_HD inline __attribute__((always_inline))
#define RETORT_HD_OUT_OF_LINE __attribute__((noinline))
#endif
