# What builds with the simulated device (tests/simgpu).
set(SY_SIMGPU_LIBRARIES ${CMAKE_BINARY_DIR}/tests/simgpu/libraries)  # that stand in for those of a GPU

# sy_simgpu_objects(<target> <files>): an object library of files with device code, as nvcc would compile them for a GPU.
function(sy_simgpu_objects target)
  add_library(${target} OBJECT ${ARGN})
  target_compile_definitions(${target} PRIVATE SY_DEVICE_CODE=1 SY_SIMULATED_DEVICE=1)
  target_compile_options(${target} PRIVATE -include ${CMAKE_SOURCE_DIR}/tests/simgpu/device_code.hpp)
  target_include_directories(${target} BEFORE PRIVATE ${CMAKE_SOURCE_DIR}/tests/simgpu/include)
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_link_libraries(${target} PRIVATE sy_flags)
  # Half the time that -O3 takes; the bits are the same.
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O2>)
endfunction()

# sy_simgpu_room(<room>): the objects of a room for the simulated device, sy_<room>_simgpu. Where a build without CUDA has
# a not_built.cpp, these have the other sources of its folder.
function(sy_simgpu_room room)
  get_target_property(files sy_${room} SOURCES)
  get_target_property(folder sy_${room} SOURCE_DIR)
  get_target_property(libraries sy_${room} LINK_LIBRARIES)
  set(sources)
  foreach(file IN LISTS files)
    if(file MATCHES "(.*)/not_built.cpp$")
      file(GLOB built CONFIGURE_DEPENDS ${folder}/${CMAKE_MATCH_1}/*.cpp)
      list(FILTER built EXCLUDE REGEX "/not_built.cpp$")
      list(APPEND sources ${built})
    else()
      cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY ${folder})
      list(APPEND sources ${file})
    endif()
  endforeach()
  sy_simgpu_objects(sy_${room}_simgpu ${sources})
  target_link_libraries(sy_${room}_simgpu PRIVATE ${libraries})
  set_property(GLOBAL APPEND PROPERTY SY_SIMGPU_OBJECTS sy_${room}_simgpu)
endfunction()

# sy_simgpu_executable(<name> SOURCES <files> ROOMS <rooms> [LINKS <targets>] [OBJECTS <object libraries>])
#
# The objects of the simulated device come first: the linker takes nothing from a room's library that it has already. It
# exports its functions to the stand-ins of libraries that it opens (device.hpp).
function(sy_simgpu_executable name)
  cmake_parse_arguments(ARG "" "" "SOURCES;ROOMS;LINKS;OBJECTS" ${ARGN})
  get_property(rooms GLOBAL PROPERTY SY_SIMGPU_OBJECTS)
  foreach(objects IN LISTS rooms ARG_OBJECTS ITEMS sy_simgpu)
    list(APPEND ARG_SOURCES $<TARGET_OBJECTS:${objects}>)
  endforeach()
  add_executable(${name} ${ARG_SOURCES})
  list(TRANSFORM ARG_ROOMS PREPEND sy_)
  target_link_libraries(${name} PRIVATE ${ARG_LINKS} ${ARG_ROOMS} sy_ops_moe sy_ops sy_device sy_base)
  set_target_properties(${name} PROPERTIES ENABLE_EXPORTS ON)
endfunction()

# sy_simgpu_test(<name> SOURCES <files> ROOMS <rooms> [LINKS <targets>] [OBJECTS <object libraries>] [KERNELS <ways>...]
#                [RANKS <n>...])
#
# One ctest entry, or one per way to run kernels (control.hpp: serial, fibers:SEED) and rank count, then under mpirun.
function(sy_simgpu_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;ROOMS;LINKS;OBJECTS;KERNELS;RANKS" ${ARGN})
  set(main sy_test_main)
  if(ARG_RANKS)
    set(main sy_test_mpi_main)
  endif()
  sy_simgpu_executable(test_${name} SOURCES ${ARG_SOURCES} ROOMS ${ARG_ROOMS} OBJECTS ${ARG_OBJECTS}
    LINKS ${main} ${ARG_LINKS})
  sy_compile_quickly(test_${name})
  add_dependencies(test_${name} sy_simgpu_cublaslt)  # opened where a test multiplies
  target_include_directories(test_${name} BEFORE PRIVATE ${CMAKE_SOURCE_DIR}/tests/simgpu/include)
  if(NOT ARG_KERNELS)
    sy_simgpu_entries(${name} test_${name} "" "${ARG_RANKS}")
  endif()
  foreach(kernels IN LISTS ARG_KERNELS)
    string(REPLACE ":" "_" entry ${name}.${kernels})
    sy_simgpu_entries(${entry} test_${name} SWITCHYARD_SIMGPU_KERNELS=${kernels} "${ARG_RANKS}")
  endforeach()
endfunction()

# The ctest entries of one way to run kernels.
function(sy_simgpu_entries name target environment rank_counts)
  list(APPEND environment SWITCHYARD_CUDA_LIBRARIES=${SY_SIMGPU_LIBRARIES})
  if(NOT rank_counts)
    add_test(NAME ${name} COMMAND ${target})
    set_tests_properties(${name} PROPERTIES
      TIMEOUT ${SY_TEST_HANGS} LABELS simgpu ENVIRONMENT "${environment}")
  endif()
  foreach(ranks IN LISTS rank_counts)
    add_test(NAME ${name}.ranks_${ranks} COMMAND ${SY_TEST_MPIRUN} -n ${ranks} $<TARGET_FILE:${target}>)
    set_tests_properties(${name}.ranks_${ranks} PROPERTIES
      TIMEOUT ${SY_TEST_HANGS} LABELS "mpi;simgpu" ENVIRONMENT "${environment}")
  endforeach()
endfunction()
