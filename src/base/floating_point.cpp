#include "base/floating_point.hpp"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace switchyard {

void flush_denormals_to_zero() {
#if defined(__SSE2__)
  _mm_setcsr(_mm_getcsr() | 0x8040u);  // FTZ is bit 15, DAZ is bit 6
#endif
}

}  // namespace switchyard
