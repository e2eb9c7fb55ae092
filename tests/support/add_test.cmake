# sy_test(<name> SOURCES <files> ROOMS <rooms> [RANKS <n>...] [LABELS <labels>] [LINKS <targets>] [BUILD_ONLY])
#
# One executable and one ctest entry (per rank count if RANKS is given: then it runs under mpirun). A hang is a failure,
# "no test ran" is a failure, a skipped test is a failure (tests/support/main.cpp). BUILD_ONLY: no ctest entry, for what
# this machine cannot run.

# Seconds after which a test hangs: the longest takes one minute, and fifteen where each of two processors has a dozen
# busy processes.
set(SY_TEST_HANGS 1500)

function(sy_test name)
  cmake_parse_arguments(ARG "BUILD_ONLY" "" "SOURCES;ROOMS;RANKS;LABELS;LINKS" ${ARGN})
  add_executable(test_${name} ${ARG_SOURCES})
  sy_compile_quickly(test_${name})
  list(TRANSFORM ARG_ROOMS PREPEND sy_)
  target_link_libraries(test_${name} PRIVATE sy_test_support ${ARG_ROOMS} ${ARG_LINKS})
  if(ARG_RANKS)
    target_link_libraries(test_${name} PRIVATE sy_test_mpi_main)
    foreach(ranks IN LISTS ARG_RANKS)
      add_test(NAME ${name}.ranks_${ranks}
               COMMAND ${SY_TEST_MPIRUN} -n ${ranks} $<TARGET_FILE:test_${name}>)
      set_tests_properties(${name}.ranks_${ranks} PROPERTIES TIMEOUT ${SY_TEST_HANGS} LABELS "mpi;${ARG_LABELS}")
    endforeach()
  else()
    target_link_libraries(test_${name} PRIVATE sy_test_main)
    if(ARG_BUILD_ONLY)
      return()
    endif()
    add_test(NAME ${name} COMMAND test_${name})
    set_tests_properties(${name} PROPERTIES TIMEOUT ${SY_TEST_HANGS} LABELS "${ARG_LABELS}")
  endif()
endfunction()

# Oversubscription is wanted: four ranks on two cores. Root is how containers run.
set(SY_TEST_MPIRUN ${CMAKE_SOURCE_DIR}/tests/support/mpirun.sh)

# Every folder here that has a CMakeLists.txt.
function(sy_test_folders)
  file(GLOB lists CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*/CMakeLists.txt)
  foreach(list IN LISTS lists)
    get_filename_component(folder ${list} DIRECTORY)
    add_subdirectory(${folder})
  endforeach()
endfunction()
