# sy_python_test(<name> SCRIPT <file> [ARGUMENTS <words>] [LABELS <labels>])
#
# A test of the finished program, written in Python (tests/support/runs.py). It starts ranks of its own, which wait for each
# other and for the launcher most of the time.
include_guard(GLOBAL)

# Debian's python3, since h5py and pandas are packages of it; another python3 may come first in PATH.
find_program(SWITCHYARD_PYTHON python3 HINTS /usr/bin NO_DEFAULT_PATH)
find_program(SWITCHYARD_PYTHON python3)
set(sy_python_error 1)
if(SWITCHYARD_PYTHON)
  execute_process(COMMAND ${SWITCHYARD_PYTHON} -c "import h5py, numpy, pandas" RESULT_VARIABLE sy_python_error
                  OUTPUT_QUIET ERROR_QUIET)
endif()
if(NOT sy_python_error EQUAL 0)
  message(FATAL_ERROR "the tests of the program need Python 3 with h5py, numpy and pandas (found: ${SWITCHYARD_PYTHON}, which "
                      "cannot import them); install python3-h5py and python3-pandas, or configure with -DSWITCHYARD_TESTS=OFF")
endif()

function(sy_python_test name)
  cmake_parse_arguments(ARG "" "SCRIPT" "ARGUMENTS;LABELS" ${ARGN})
  # -B: no compiled files in the source folder.
  add_test(NAME ${name}
           COMMAND ${SWITCHYARD_PYTHON} -B ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_SCRIPT} $<TARGET_FILE:switchyard>
                   $<TARGET_FILE:mend_checkpoint> ${ARG_ARGUMENTS})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${SY_TEST_HANGS} LABELS "program;${ARG_LABELS}"
                       ENVIRONMENT "PYTHONPATH=${CMAKE_SOURCE_DIR}/tests/support;FAULT_SHIM=$<TARGET_FILE:fault_shim>")
endfunction()
