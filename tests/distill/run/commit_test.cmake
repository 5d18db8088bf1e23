# What distill/run/commit.cmake says about folders of several kinds:
#   cmake -D SCRIPT=commit.cmake -D WORK=FOLDER -P commit_test.cmake
cmake_minimum_required(VERSION 3.25)

function(expect folder hash changed)
  execute_process(COMMAND ${CMAKE_COMMAND} -D SOURCE=${folder} -D OUT=${WORK}/out.cpp -P ${SCRIPT}
                  COMMAND_ERROR_IS_FATAL ANY)
  file(READ ${WORK}/out.cpp text)
  if(NOT text MATCHES "commit{\"${hash}\", ${changed}}")
    message(FATAL_ERROR "${folder}: expected ${hash}, ${changed}, got:\n${text}")
  endif()
endfunction()
function(git)
  execute_process(COMMAND git -c user.name=Test -c user.email=test@example.org -C ${WORK}/repository ${ARGN}
                  OUTPUT_VARIABLE out OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  set(out "${out}" PARENT_SCOPE)
endfunction()

find_program(git git)
file(REMOVE_RECURSE ${WORK})
file(WRITE ${WORK}/archive/engine/a.cpp "")
if(NOT git)
  expect(${WORK}/archive unknown false)
  return()
endif()

file(WRITE ${WORK}/repository/engine/a.cpp "a")
file(WRITE ${WORK}/repository/README.md "a")
git(init -q)
git(add .)
git(commit -q -m first)
git(rev-parse HEAD)
set(commit ${out})
expect(${WORK}/repository ${commit} false)

# Notes and data beside the sources change nothing, a source that would be compiled does.
file(WRITE ${WORK}/repository/notes.txt "")
expect(${WORK}/repository ${commit} false)
file(WRITE ${WORK}/repository/engine/b.cpp "")
expect(${WORK}/repository ${commit} true)
file(REMOVE ${WORK}/repository/engine/b.cpp)
file(WRITE ${WORK}/repository/README.md "b")
expect(${WORK}/repository ${commit} true)
git(checkout -q README.md)
expect(${WORK}/repository ${commit} false)

# An archive that was unpacked inside some other repository is not of that one.
file(COPY ${WORK}/archive DESTINATION ${WORK}/repository)
expect(${WORK}/repository/archive unknown false)

# Nothing is written, and so nothing compiled, where nothing changed.
file(TIMESTAMP ${WORK}/out.cpp before "%s")
execute_process(COMMAND ${CMAKE_COMMAND} -E sleep 1.1)
expect(${WORK}/repository/archive unknown false)
file(TIMESTAMP ${WORK}/out.cpp after "%s")
if(NOT before STREQUAL after)
  message(FATAL_ERROR "the file was written again")
endif()
