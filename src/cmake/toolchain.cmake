# Compiler flags that every target shares, as the interface library sy_flags.
#
# -ffp-contract=off: a product and a sum are fused only where the source says fma(), so that CPU, GPU and
# every optimisation level round alike. -fno-math-errno and -fno-trapping-math change no result; they let
# loops with comparisons and square roots vectorise.
add_library(sy_flags INTERFACE)

find_program(SWITCHYARD_CCACHE ccache)
if(SWITCHYARD_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${SWITCHYARD_CCACHE})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${SWITCHYARD_CCACHE})
endif()

set(sy_host_flags -ffp-contract=off -fno-math-errno -fno-trapping-math -march=${SWITCHYARD_ARCH})
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64")
  list(APPEND sy_host_flags -mprefer-vector-width=512)
endif()
set(sy_warning_flags -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor -Woverloaded-virtual
    -Wswitch-enum)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  list(APPEND sy_warning_flags -Wno-maybe-uninitialized)  # g++ 12 warns of its own AVX-512 headers
endif()
if(SWITCHYARD_WERROR)
  list(APPEND sy_warning_flags -Werror)
endif()
target_compile_options(sy_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:${sy_host_flags};${sy_warning_flags};-Wpedantic>)
target_include_directories(sy_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)

if(SWITCHYARD_SANITIZE)
  target_compile_options(sy_flags INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${SWITCHYARD_SANITIZE};-fno-omit-frame-pointer;-fno-sanitize-recover=all>)
  target_link_options(sy_flags INTERFACE -fsanitize=${SWITCHYARD_SANITIZE})
  target_compile_definitions(sy_flags INTERFACE SWITCHYARD_SANITIZED=1)
endif()

if(SWITCHYARD_CUDA)
  set(CMAKE_CUDA_ARCHITECTURES ${SWITCHYARD_CUDA_ARCHITECTURES})
  set(CMAKE_CUDA_RUNTIME_LIBRARY Static)  # the binary starts on machines without CUDA
  enable_language(CUDA)
  # CMake 3.25 does not know that nvcc has C++20; files take the standard from CMAKE_CXX_STANDARD.
  if(NOT DEFINED CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  endif()
  find_package(CUDAToolkit REQUIRED)
  # --fmad=false is -ffp-contract=off; --ftz=true is what flush_denormals_to_zero() sets on the CPU. --no-compress lets
  # tests/gpu/device_code_test.py read the object files. The host half gets the same flags as a plain C++ file.
  # FMT_USE_CONSTEXPR: fmt 9 switches half of its constexpr off under nvcc and then does not compile. SY_DEVICE_CODE: see
  # device/launch.hpp.
  set(sy_cuda_flags -DSY_DEVICE_CODE=1 --fmad=false --ftz=true --expt-relaxed-constexpr --no-compress -DFMT_USE_CONSTEXPR=1)
  foreach(flag IN LISTS sy_host_flags ITEMS -Wall -Wextra)
    list(APPEND sy_cuda_flags -Xcompiler=${flag})
  endforeach()
  if(SWITCHYARD_WERROR)
    list(APPEND sy_cuda_flags --Werror=all-warnings -Xcompiler=-Werror)
  endif()
  target_compile_options(sy_flags INTERFACE "$<$<COMPILE_LANGUAGE:CUDA>:${sy_cuda_flags}>")
endif()
