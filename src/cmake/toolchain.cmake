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

# AUTO: where there is all that it needs. From here on SWITCHYARD_CUDA is ON or OFF.
if(SWITCHYARD_CUDA STREQUAL "AUTO")
  find_program(sy_nvcc nvcc HINTS $ENV{CUDACXX} /usr/local/cuda/bin)
  get_filename_component(sy_cuda_folder "${sy_nvcc}" REALPATH)
  get_filename_component(sy_cuda_folder "${sy_cuda_folder}/../.." ABSOLUTE)
  foreach(header cuda_runtime_api.h nvtx3/nvToolsExt.h cublasLt.h nccl.h)
    find_path(sy_folder_of_${header} ${header} HINTS ${sy_cuda_folder}/include ${sy_cuda_folder}/targets/x86_64-linux/include)
    list(APPEND sy_cuda_needs ${sy_folder_of_${header}})
  endforeach()
  set(SWITCHYARD_CUDA OFF)
  if(sy_nvcc AND NOT "${sy_cuda_needs}" MATCHES "NOTFOUND" AND NOT SWITCHYARD_SANITIZE)
    set(SWITCHYARD_CUDA ON)
    set(CMAKE_CUDA_COMPILER ${sy_nvcc})
  endif()
endif()
message(STATUS "Compiled for GPUs: ${SWITCHYARD_CUDA}")

if(SWITCHYARD_CUDA)
  # Code for both, and text of the last for what comes after them.
  set(SWITCHYARD_CUDA_ARCHITECTURES "80-real;90" CACHE STRING "Of GPUs, as CMAKE_CUDA_ARCHITECTURES")
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
