// SY_HD marks what is compiled for the GPU too; plain C++ sees nothing.
#pragma once

#if defined(__CUDACC__)
#define SY_HD __host__ __device__
// In front of an SY_HD function that the host alone ever calls (a team of real threads): nvcc then accepts
// host-only calls in its body.
#define SY_HOST_CALLS_ALLOWED _Pragma("nv_exec_check_disable")
#else
#define SY_HD
#define SY_HOST_CALLS_ALLOWED
#endif

// Before a loop of few turns that becomes vector instructions if it is left alone, and jumps if it is unrolled.
#if defined(__CUDACC__)
#define SY_LEFT_ROLLED
#else
#define SY_LEFT_ROLLED _Pragma("GCC unroll 1")
#endif
