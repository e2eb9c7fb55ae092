#include "device/single_threaded_libraries.hpp"

#include <omp.h>

namespace switchyard::device {

void use_libraries_single_threaded() { omp_set_num_threads(1); }

}  // namespace switchyard::device
