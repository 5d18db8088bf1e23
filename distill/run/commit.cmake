# Writes into a C++ file which commit the program is built from, if that has changed:
#   cmake -D SOURCE=FOLDER -D OUT=FILE -P commit.cmake
# A folder that is not the top of a git repository (an archive, perhaps unpacked inside another repository) is unknown.
cmake_minimum_required(VERSION 3.25)
set(commit unknown)
set(changed false)
find_program(git git)
file(REAL_PATH ${SOURCE} SOURCE)
if(git)
  # Whoever builds need not own the sources; nothing of the repository's configuration is run.
  set(ask ${git} -c safe.directory=* -c core.fsmonitor=false -C ${SOURCE})
  execute_process(COMMAND ${ask} rev-parse --show-toplevel HEAD OUTPUT_VARIABLE lines RESULT_VARIABLE status ERROR_QUIET)
  if(status EQUAL 0 AND lines MATCHES "^([^\n]+)\n([0-9a-f]+)\n$" AND CMAKE_MATCH_1 STREQUAL SOURCE)
    set(commit ${CMAKE_MATCH_2})
    # Files that git does not know count where they are compiled.
    execute_process(COMMAND ${ask} status --porcelain --untracked-files=no OUTPUT_VARIABLE tracked ERROR_QUIET)
    execute_process(COMMAND ${ask} status --porcelain -- engine layers models datasets distill cli
                    OUTPUT_VARIABLE compiled ERROR_QUIET)
    if(tracked OR compiled)
      set(changed true)
    endif()
  endif()
endif()
file(CONFIGURE OUTPUT ${OUT} @ONLY CONTENT
"// Made by CMake at every build.
#include \"distill/run/commit.h\"

namespace retort {

const Commit& built_commit() {
  static const Commit commit{\"${commit}\", ${changed}};
  return commit;
}

}  // namespace retort
")
