// SY_HD marks what is compiled for the GPU too; plain C++ sees nothing.
#pragma once

#if defined(__CUDACC__)
#define SY_HD __host__ __device__
#else
#define SY_HD
#endif
