# The embeddable library asks for functions of the C library, POSIX threads and the compiler's own support only, so
# that it cannot throw, print, exit or, but for two places, allocate; stripped it is smaller than 1 MB.
if(SANITIZE)
  return()
endif()
set(allowed
    # loading: the network's one block, and the file, read into another
    aligned_alloc malloc free open open64 __open64_2 close fstat fstat64 __fstat64_time64 read __read_chk
    __errno_location
    memset memcpy memmove memchr memcmp strcmp getenv vsnprintf __vsnprintf_chk expf
    pthread_create pthread_join pthread_mutex_init pthread_mutex_destroy pthread_mutex_lock pthread_mutex_unlock
    pthread_cond_init pthread_cond_destroy pthread_cond_wait pthread_cond_broadcast sched_yield pthread_once
    pthread_atfork __register_atfork __dso_handle
    # the compiler's
    __cpu_model __cpu_indicator_init _GLOBAL_OFFSET_TABLE_ __stack_chk_fail __aeabi_.* __stack_chk_guard
    __aarch64_.* __udivdi3 __divdi3 __moddi3 __umoddi3 __tls_get_addr __gcov_.*)
execute_process(COMMAND ${NM} -u ${LIBRARY} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${NM} --defined-only ${LIBRARY} OUTPUT_VARIABLE defined COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE "\n" ";" symbols "${symbols}")
string(JOIN "|" pattern ${allowed})
foreach(line IN LISTS symbols)
  if(NOT line MATCHES "^ +[Uw] (.+)$")
    continue()
  endif()
  set(symbol ${CMAKE_MATCH_1})
  if(NOT symbol MATCHES "^(${pattern})$")
    string(FIND "${defined}" " ${symbol}\n" place)
    if(place EQUAL -1)
      message(SEND_ERROR "${LIBRARY} asks for ${symbol}, which is not of the C library's part that it may use")
    endif()
  endif()
endforeach()

set(stripped ${LIBRARY}.stripped)
execute_process(COMMAND ${STRIP} --strip-unneeded -o ${stripped} ${LIBRARY} COMMAND_ERROR_IS_FATAL ANY)
file(SIZE ${stripped} size)
file(REMOVE ${stripped})
if(size GREATER_EQUAL 1000000)
  message(SEND_ERROR "${LIBRARY} has ${size} bytes when stripped, expected less than 1,000,000")
endif()
message(STATUS "${LIBRARY}: ${size} bytes when stripped")
