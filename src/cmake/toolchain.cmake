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
set(sy_warning_flags -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wswitch-enum)
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
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real)
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  enable_language(CUDA)
  find_package(CUDAToolkit REQUIRED)
  target_compile_definitions(sy_flags INTERFACE SWITCHYARD_CUDA=1)
  # --fmad=false: as -ffp-contract=off. The host half gets the same flags as a plain C++ file.
  string(REPLACE ";" "," sy_host_flags_comma "${sy_host_flags};-Wall;-Wextra")
  target_compile_options(sy_flags INTERFACE $<$<COMPILE_LANGUAGE:CUDA>:
    --fmad=false --expt-relaxed-constexpr --extended-lambda -Xcompiler=${sy_host_flags_comma}>)
  if(SWITCHYARD_WERROR)
    target_compile_options(sy_flags INTERFACE $<$<COMPILE_LANGUAGE:CUDA>:--Werror=all-warnings -Xcompiler=-Werror>)
  endif()
endif()
