# sy_room(<name> [COLD] SOURCES <files> [KERNELS <files>] [USES <rooms>] [LINKS <private targets>] [PUBLIC <public targets>])
#
# One static library per room. USES are the rooms that it may include; they are public, since headers include them.
# KERNELS are the files that start single-source kernels (they call device::for_each or for_each_row). With
# SWITCHYARD_CUDA they are compiled by nvcc, without it by the C++ compiler like all others. Files that use vendor
# libraries (oneDNN, OpenMP) stay in SOURCES. A file is listed once. COLD: its code runs once a run and is compiled at -O1,
# which takes two thirds of the time that -O3 takes.
function(sy_room name)
  cmake_parse_arguments(ARG "COLD" "" "SOURCES;KERNELS;USES;LINKS;PUBLIC" ${ARGN})
  add_library(sy_${name} STATIC ${ARG_SOURCES} ${ARG_KERNELS})
  sy_kernel_files(${ARG_KERNELS})
  if(ARG_COLD)
    sy_compile_quickly(sy_${name})
  endif()
  list(TRANSFORM ARG_USES PREPEND sy_)
  target_link_libraries(sy_${name} PUBLIC sy_flags ${ARG_USES} ${ARG_PUBLIC} PRIVATE ${ARG_LINKS})
  if(ARG_LINKS)
    # Third-party headers are not ours to warn about.
    foreach(target IN LISTS ARG_LINKS)
      if(TARGET ${target})
        get_target_property(dirs ${target} INTERFACE_INCLUDE_DIRECTORIES)
        if(dirs)
          target_include_directories(sy_${name} SYSTEM PRIVATE ${dirs})
        endif()
      endif()
    endforeach()
  endif()
endfunction()

function(sy_compile_quickly target)
  target_compile_options(${target} PRIVATE $<$<AND:$<CONFIG:Release>,$<COMPILE_LANGUAGE:CXX>>:-O1>)
endfunction()

# Marks C++ files of the calling directory that hold kernels: CUDA sources in a CUDA build, C++ otherwise. The
# libraries that they become part of must link sy_flags.
macro(sy_kernel_files)
  if(SWITCHYARD_CUDA AND NOT "${ARGN}" STREQUAL "")
    set_source_files_properties(${ARGN} PROPERTIES LANGUAGE CUDA)
  endif()
endmacro()
