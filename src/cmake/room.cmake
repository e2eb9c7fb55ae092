# sy_room(<name> [COLD] SOURCES <files> [KERNELS <files>] [USES <rooms>] [LINKS <private targets>] [PUBLIC <public targets>])
#
# One static library per room. USES are the rooms that it may include; they are public, since headers include them.
# KERNELS are the files that start single-source kernels (they call device::for_each or for_each_row): see sy_device_code.
# Files that use vendor libraries (oneDNN, OpenMP) stay in SOURCES. A file is listed once. COLD: its code runs once a run and is compiled at -O1,
# which takes two thirds of the time that -O3 takes.
function(sy_room name)
  cmake_parse_arguments(ARG "COLD" "" "SOURCES;KERNELS;USES;LINKS;PUBLIC" ${ARGN})
  add_library(sy_${name} STATIC ${ARG_SOURCES} ${ARG_KERNELS})
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
  sy_device_code(sy_${name} ${ARG_KERNELS})
endfunction()

function(sy_compile_quickly target)
  target_compile_options(${target} PRIVATE $<$<AND:$<CONFIG:Release>,$<COMPILE_LANGUAGE:CXX>>:-O1>)
endfunction()

# sy_device_code(<target> <files>): files with kernels among the sources of a static library. In a build for GPUs nvcc
# compiles them once more, as <target>_device, for their device code and what launches it: the C++ compiler's code is that
# of the CPU, since nvcc's would have no vector registers. The files are the same, so all other functions are there twice:
# objcopy leaves nothing to be seen but the launches, and takes the groups away by which the linker would drop one of two.
function(sy_device_code target)
  if(SWITCHYARD_FUZZ)
    # No input comes to a kernel, and sanitizers make of one what takes a minute to compile.
    set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS "-O0;-fno-sanitize=all")
  endif()
  if(NOT SWITCHYARD_CUDA OR "${ARGN}" STREQUAL "")
    return()
  endif()
  set_source_files_properties(${ARGN} PROPERTIES COMPILE_DEFINITIONS SY_DEVICE_CODE_BESIDE=1)
  set(wrappers)
  foreach(file IN LISTS ARGN)
    cmake_path(ABSOLUTE_PATH file OUTPUT_VARIABLE path)
    cmake_path(RELATIVE_PATH path BASE_DIRECTORY ${CMAKE_SOURCE_DIR} OUTPUT_VARIABLE name)
    cmake_path(REPLACE_EXTENSION file cu OUTPUT_VARIABLE wrapper)
    set(wrapper ${CMAKE_CURRENT_BINARY_DIR}/device_code/${wrapper})
    file(CONFIGURE OUTPUT ${wrapper} CONTENT "#include \"${name}\"\n" @ONLY)
    list(APPEND wrappers ${wrapper})
  endforeach()
  add_library(${target}_device STATIC ${wrappers})
  target_include_directories(${target}_device PRIVATE ${CMAKE_SOURCE_DIR})
  add_custom_command(TARGET ${target}_device POST_BUILD VERBATIM
    COMMAND ${CMAKE_OBJCOPY} --remove-section=.group --wildcard
            --keep-global-symbol=_ZN10switchyard6device4cuda9with_nvcc*for_each* $<TARGET_FILE:${target}_device>)
  target_link_libraries(${target}_device PRIVATE ${target})
  target_link_libraries(${target} PRIVATE ${target}_device)
endfunction()
