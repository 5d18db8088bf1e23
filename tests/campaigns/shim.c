// Between a program and the operating system (LD_PRELOAD): counts the calls that touch files below given
// folders, and hurts one of them: it fails, writes half, or the power goes. run.py builds it and names what
// it wants by environment:
//
// RETORT_SHIM_PREFIXES: absolute folders, separated by ':'; calls on other paths are left alone
//
// RETORT_SHIM_LOG: file that gets a line "number call path names" per call; names: not durable by then
//
// RETORT_SHIM_AT: number of the call that is hurt; 0 or unset: none, only the log is written
//
// RETORT_SHIM_MODE:
// - fail: it fails with RETORT_SHIM_ERRNO
// - all: so do it and every later call that RETORT_SHIM_CALLS names (none: every call)
// - short: it writes half, and the next write fails with RETORT_SHIM_ERRNO
// - power: it writes half, everything that was not made durable is lost, the process dies
//
// RETORT_SHIM_UNDO: of the names that were not durable, lost: none, all, or the number of one (from 0)
//
// RETORT_SHIM_TAIL: what was written and not synced: cut, or zeros of that length
//
// RETORT_SHIM_GRAVE: an empty folder outside the prefixes, on the same file system, where files whose name is
// replaced or removed keep a second name for the power cut
//
// The model of a file system: fsync of a file makes its length and bytes durable, not its name; fsync of a
// folder makes the names in it durable. A file that was there before the process touched it is durable as it
// is.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define REAL(name) ((__typeof__(&name))real_function(#name))

enum { mode_fail, mode_all, mode_short, mode_power };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static __thread int inside;  // calls that the shim makes itself are not looked at
static int ready, mode, error_number, log_file = -1, fail_next_write, graves;
static long number, hurt_at;
static const char *prefixes, *only_calls, *undo, *grave;
static int zero_tail;

static void* real_function(const char* name) {
  void* found = dlsym(RTLD_NEXT, name);
  if (!found) abort();
  return found;
}

static const char* setting(const char* name) {
  const char* value = getenv(name);
  return value ? value : "";
}

static void set_up(void) {
  if (ready) return;
  ready = 1;
  prefixes = setting("RETORT_SHIM_PREFIXES");
  hurt_at = atol(setting("RETORT_SHIM_AT"));
  only_calls = setting("RETORT_SHIM_CALLS");
  undo = setting("RETORT_SHIM_UNDO");
  grave = setting("RETORT_SHIM_GRAVE");
  zero_tail = strcmp(setting("RETORT_SHIM_TAIL"), "zeros") == 0;
  error_number = atoi(setting("RETORT_SHIM_ERRNO"));
  const char* wanted = setting("RETORT_SHIM_MODE");
  mode = !strcmp(wanted, "power")   ? mode_power
         : !strcmp(wanted, "short") ? mode_short
         : !strcmp(wanted, "all")   ? mode_all
                                    : mode_fail;
  const char* log = setting("RETORT_SHIM_LOG");
  if (*log) log_file = REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

// The absolute path without "." and "..", links as they are.
static void absolute(const char* path, char* out) {
  char whole[2 * PATH_MAX];
  if (path[0] == '/') {
    snprintf(whole, sizeof whole, "%s", path);
  } else {
    char here[PATH_MAX];
    snprintf(whole, sizeof whole, "%s/%s", getcwd(here, sizeof here) ? here : "", path);
  }
  size_t used = 0;
  char* rest = NULL;
  for (char* part = strtok_r(whole, "/", &rest); part; part = strtok_r(NULL, "/", &rest)) {
    if (!strcmp(part, ".")) continue;
    if (!strcmp(part, "..")) {
      while (used > 0 && out[--used] != '/') continue;
      continue;
    }
    const int added = snprintf(out + used, PATH_MAX - used, "/%s", part);
    if (added < 0 || used + (size_t)added >= PATH_MAX) break;
    used += (size_t)added;
  }
  out[used] = 0;
}

static int path_of_descriptor(int file, char* out) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t length = readlink(link, out, PATH_MAX - 1);
  out[length > 0 ? length : 0] = 0;
  char* deleted = strstr(out, " (deleted)");
  if (deleted) *deleted = 0;
  return length > 0;
}

static int is_watched(const char* path) {
  for (const char* at = prefixes; *at;) {
    const size_t length = strcspn(at, ":");
    if (length && !strncmp(path, at, length) && (path[length] == '/' || !path[length])) return 1;
    at += length + (at[length] == ':');
  }
  return 0;
}

static int names_call(const char* list, const char* call) {
  if (!*list) return 1;
  const size_t length = strlen(call);
  for (const char* at = list; (at = strstr(at, call)); ++at)
    if ((at == list || at[-1] == ',') && (at[length] == ',' || !at[length])) return 1;
  return 0;
}

#include "shim_power.h"

// Every call

enum verdict { go_on, fails, writes_half };

// Under the mutex. path: absolute and watched.
static enum verdict look(const char* call, const char* path, int is_write) {
  ++number;
  if (log_file >= 0) {
    char line[PATH_MAX + 128];
    const int length = snprintf(line, sizeof line, "%ld %s %s %d\n", number, call, path, pending_names());
    if (REAL(write)(log_file, line, (size_t)length) < 0) abort();
  }
  if (fail_next_write && is_write) {
    fail_next_write = 0;
    return fails;
  }
  if (!hurt_at || number < hurt_at) return go_on;
  if (mode == mode_all) return names_call(only_calls, call) ? fails : go_on;
  if (number != hurt_at) return go_on;
  if (mode == mode_fail) return fails;
  if (is_write) return writes_half;
  if (mode == mode_power) power_cut();
  return fails;
}

static int enter_path(const char* path, char* whole) {
  if (inside || !path) return 0;
  inside = 1;
  pthread_mutex_lock(&mutex);
  set_up();
  absolute(path, whole);
  if (is_watched(whole)) return 1;
  pthread_mutex_unlock(&mutex);
  inside = 0;
  return 0;
}

static int enter_file(int file, char* whole) {
  if (inside || file < 0) return 0;
  inside = 1;
  pthread_mutex_lock(&mutex);
  set_up();
  if (*prefixes && file != log_file && path_of_descriptor(file, whole) && is_watched(whole)) return 1;
  pthread_mutex_unlock(&mutex);
  inside = 0;
  return 0;
}

static void leave(void) {
  const int kept = errno;
  pthread_mutex_unlock(&mutex);
  inside = 0;
  errno = kept;
}

#define FAIL(value)       \
  do {                    \
    errno = error_number; \
    leave();              \
    return value;         \
  } while (0)

// A call of this shape: `path` or `file` is looked at first; `after` runs when it worked.
#define ON_PATH(call, path, value, real, after)   \
  char whole[PATH_MAX];                           \
  if (!enter_path(path, whole)) return real;      \
  if (look(call, whole, 0) == fails) FAIL(value); \
  const __typeof__(real) result = real;           \
  if (result != (__typeof__(real))(value)) {      \
    after;                                        \
  }                                               \
  leave();                                        \
  return result

#define ON_FILE(call, file, value, real, after)   \
  char whole[PATH_MAX];                           \
  if (!enter_file(file, whole)) return real;      \
  if (look(call, whole, 0) == fails) FAIL(value); \
  const __typeof__(real) result = real;           \
  if (result != (__typeof__(real))(value)) {      \
    after;                                        \
  }                                               \
  leave();                                        \
  return result

static int open_file(const char* call, int folder, const char* path, int flags, mode_t access) {
  char whole[PATH_MAX];
  if ((folder != AT_FDCWD && path[0] != '/') || !enter_path(path, whole))
    return REAL(openat)(folder, path, flags, access);
  if (look(call, whole, 0) == fails) FAIL(-1);
  struct stat status;
  const int there = lstat(whole, &status) == 0, writes = (flags & O_ACCMODE) != O_RDONLY;
  if (there && writes && (flags & O_TRUNC) && S_ISREG(status.st_mode)) {
    const int file = REAL(open)(whole, O_RDWR | O_CLOEXEC);
    if (file >= 0) before_truncate(file, 0);
    if (file >= 0) REAL(close)(file);
  }
  const int result = REAL(openat)(folder, path, flags, access);
  if (result >= 0 && writes && mode == mode_power && hurt_at) file_of(result, 1);
  if (result >= 0 && !there) note_name(name_made, whole, NULL, NULL);
  leave();
  return result;
}

#define OPEN(name)                                           \
  EXPORT int name(const char* path, int flags, ...) {        \
    va_list rest;                                            \
    va_start(rest, flags);                                   \
    const mode_t access = va_arg(rest, mode_t);              \
    va_end(rest);                                            \
    return open_file("open", AT_FDCWD, path, flags, access); \
  }
#define OPENAT(name)                                              \
  EXPORT int name(int folder, const char* path, int flags, ...) { \
    va_list rest;                                                 \
    va_start(rest, flags);                                        \
    const mode_t access = va_arg(rest, mode_t);                   \
    va_end(rest);                                                 \
    return open_file("openat", folder, path, flags, access);      \
  }
OPEN(open)
OPEN(open64)
OPENAT(openat) OPENAT(openat64)
#define FOPEN(name)                                               \
  EXPORT FILE* name(const char* path, const char* how) {          \
    struct stat status;                                           \
    const int is_new = path && lstat(path, &status) != 0;         \
    ON_PATH("fopen", path, NULL, REAL(name)(path, how),           \
            if (is_new) note_name(name_made, whole, NULL, NULL)); \
  }
    FOPEN(fopen) FOPEN(fopen64)

        EXPORT DIR* opendir(const char* path) {
  ON_PATH("opendir", path, NULL, REAL(opendir)(path), );
}
EXPORT ssize_t read(int file, void* to, size_t bytes) {
  ON_FILE("read", file, -1, REAL(read)(file, to, bytes), );
}
EXPORT ssize_t pread(int file, void* to, size_t bytes, off_t at) {
  ON_FILE("pread", file, -1, REAL(pread)(file, to, bytes, at), );
}
EXPORT ssize_t pread64(int file, void* to, size_t bytes, off_t at) {
  ON_FILE("pread", file, -1, REAL(pread)(file, to, bytes, at), );
}

static ssize_t write_bytes(const char* call, int file, const void* from, size_t bytes, off_t at) {
  char whole[PATH_MAX];
  if (!enter_file(file, whole))
    return at < 0 ? REAL(write)(file, from, bytes) : REAL(pwrite)(file, from, bytes, at);
  const enum verdict verdict = look(call, whole, 1);
  if (verdict == fails) FAIL(-1);
  if (verdict == writes_half) bytes /= 2;
  before_write(file, at, bytes);
  const ssize_t result = at < 0 ? REAL(write)(file, from, bytes) : REAL(pwrite)(file, from, bytes, at);
  if (verdict == writes_half && mode == mode_power) power_cut();
  fail_next_write |= verdict == writes_half;
  leave();
  return result;
}
EXPORT ssize_t write(int file, const void* from, size_t bytes) {
  return write_bytes("write", file, from, bytes, -1);
}
EXPORT ssize_t pwrite(int file, const void* from, size_t bytes, off_t at) {
  return write_bytes("pwrite", file, from, bytes, at);
}
EXPORT ssize_t pwrite64(int file, const void* from, size_t bytes, off_t at) {
  return write_bytes("pwrite", file, from, bytes, at);
}
EXPORT ssize_t writev(int file, const struct iovec* from, int count) {
  size_t bytes = 0;
  for (int i = 0; i < count; ++i) bytes += from[i].iov_len;
  ON_FILE("writev", file, -1, (before_write(file, -1, bytes), REAL(writev)(file, from, count)), );
}

EXPORT int fsync(int file) {
  ON_FILE("fsync", file, -1, REAL(fsync)(file), synced(file));
}
EXPORT int fdatasync(int file) {
  ON_FILE("fdatasync", file, -1, REAL(fdatasync)(file), synced(file));
}
EXPORT int flock(int file, int operation) {
  ON_FILE("flock", file, -1, REAL(flock)(file, operation), );
}
EXPORT int close(int file) {
  char whole[PATH_MAX];
  if (!enter_file(file, whole)) return REAL(close)(file);
  const enum verdict verdict = look("close", whole, 0);
  const int result = REAL(close)(file);  // closed whatever is said of it
  if (verdict == fails) FAIL(-1);
  leave();
  return result;
}
EXPORT int ftruncate(int file, off_t length) {
  ON_FILE("ftruncate", file, -1, (before_truncate(file, length), REAL(ftruncate)(file, length)), );
}
EXPORT int ftruncate64(int file, off_t length) {
  return ftruncate(file, length);
}
// Says its error as its value.
EXPORT int posix_fallocate(int file, off_t at, off_t bytes) {
  char whole[PATH_MAX];
  if (!enter_file(file, whole)) return REAL(posix_fallocate)(file, at, bytes);
  const int result =
      look("posix_fallocate", whole, 0) == fails ? error_number : REAL(posix_fallocate)(file, at, bytes);
  leave();
  return result;
}
EXPORT int posix_fallocate64(int file, off_t at, off_t bytes) {
  return posix_fallocate(file, at, bytes);
}
EXPORT void* mmap(void* where, size_t bytes, int protection, int flags, int file, off_t at) {
  ON_FILE("mmap", file, MAP_FAILED, REAL(mmap)(where, bytes, protection, flags, file, at), );
}
EXPORT void* mmap64(void* where, size_t bytes, int protection, int flags, int file, off_t at) {
  return mmap(where, bytes, protection, flags, file, at);
}

EXPORT int rename(const char* from, const char* to) {
  char old[PATH_MAX];
  absolute(from, old);
  char* kept = NULL;
  ON_PATH("rename", to, -1, (kept = bury(whole), REAL(rename)(from, to)),
          note_name(name_moved, whole, old, kept));
}
EXPORT int link(const char* from, const char* to) {
  ON_PATH("link", to, -1, REAL(link)(from, to), note_name(name_made, whole, NULL, NULL));
}
EXPORT int symlink(const char* from, const char* to) {
  ON_PATH("symlink", to, -1, REAL(symlink)(from, to), note_name(name_made, whole, NULL, NULL));
}
EXPORT int unlink(const char* path) {
  char* kept = NULL;
  ON_PATH("unlink", path, -1, (kept = bury(whole), REAL(unlink)(path)),
          note_name(name_removed, whole, NULL, kept));
}
EXPORT int rmdir(const char* path) {
  ON_PATH("rmdir", path, -1, REAL(rmdir)(path), note_name(folder_removed, whole, NULL, NULL));
}
EXPORT int remove(const char* path) {
  struct stat status;
  const int folder = path && lstat(path, &status) == 0 && S_ISDIR(status.st_mode);
  char* kept = NULL;
  ON_PATH("remove", path, -1, (kept = bury(whole), REAL(remove)(path)),
          note_name(folder ? folder_removed : name_removed, whole, NULL, kept));
}
EXPORT int mkdir(const char* path, mode_t access) {
  ON_PATH("mkdir", path, -1, REAL(mkdir)(path, access), note_name(folder_made, whole, NULL, NULL));
}
