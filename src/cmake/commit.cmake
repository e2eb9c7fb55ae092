# cmake -D SOURCE=<tree> -D HEADER=<file> -P commit.cmake, at every build: which commit the sources are, as a header that
# is written only when that changes. "+changes" behind it: tracked files differ from the commit. Empty where the tree is
# no checkout of its own (an unpacked archive, perhaps inside another project's checkout) or git is missing.
cmake_minimum_required(VERSION 3.25)
set(ENV{GIT_OPTIONAL_LOCKS} 0)  # a build must not disturb a git command beside it
execute_process(COMMAND git rev-parse --show-toplevel WORKING_DIRECTORY ${SOURCE}
                OUTPUT_VARIABLE top OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
file(REAL_PATH ${SOURCE} source)
set(commit "")
if(top STREQUAL source)
  execute_process(COMMAND git describe --always --abbrev=12 --exclude=* --dirty=+changes WORKING_DIRECTORY ${SOURCE}
                  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
file(CONFIGURE OUTPUT ${HEADER} CONTENT "#define SY_COMMIT \"@commit@\"\n" @ONLY)
