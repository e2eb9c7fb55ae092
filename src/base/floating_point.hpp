// Flush-to-zero and denormals-are-zero for the calling thread.
#pragma once

namespace switchyard {

// Every thread of every rank calls this before any arithmetic. As weights die, Adam's moments go subnormal and
// a step takes twice as long; set on some threads only, it breaks equal bits.
void flush_denormals_to_zero();

}  // namespace switchyard
