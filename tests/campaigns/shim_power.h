// What a power cut takes: contents and names that were not made durable. Part of shim.c, which says what the
// model is; everything here is called under its mutex.
#pragma once

// What is not durable: contents by inode, names in their order.
struct Overwritten {
  off_t at;
  size_t bytes;
  char* before;
  struct Overwritten* next;
};
struct File {
  dev_t device;
  ino_t inode;
  int descriptor;  // writable, ours
  off_t synced;    // bytes of it that are durable
  struct Overwritten* overwritten;
  struct File* next;
};
enum name_kind { name_made, name_moved, name_removed, folder_made, folder_removed };
struct Name {
  enum name_kind kind;
  char *path, *before, *kept;  // moved: before is the old path; kept: second name of what was there
  int durable;
};
static struct File* files;
static struct Name names[4096];
static int name_count;

static struct File* file_of(int descriptor, int may_add) {
  struct stat status;
  if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return NULL;
  for (struct File* file = files; file; file = file->next)
    if (file->inode == status.st_ino && file->device == status.st_dev) return file;
  if (!may_add) return NULL;
  struct File* file = calloc(1, sizeof *file);
  *file = (struct File){status.st_dev,  status.st_ino, fcntl(descriptor, F_DUPFD_CLOEXEC, 200),
                        status.st_size, NULL,          files};
  return files = file;
}

static void forget_overwritten(struct File* file) {
  for (struct Overwritten* at = file->overwritten; at;) {
    struct Overwritten* next = at->next;
    free(at->before);
    free(at);
    at = next;
  }
  file->overwritten = NULL;
}

// Before bytes of a file change: keeps those that are durable. at < 0: the file's own position, or its end.
static void before_write(int descriptor, off_t at, size_t bytes) {
  if (mode != mode_power || !hurt_at) return;
  struct File* file = file_of(descriptor, 1);
  if (!file) return;
  if (at < 0) {
    struct stat status;
    const int flags = fcntl(descriptor, F_GETFL);
    at = (flags & O_APPEND) && fstat(descriptor, &status) == 0 ? status.st_size
                                                               : lseek(descriptor, 0, SEEK_CUR);
  }
  if (at < 0 || at >= file->synced) return;
  if (at + (off_t)bytes > file->synced) bytes = (size_t)(file->synced - at);
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const int reader = REAL(open)(link, O_RDONLY | O_CLOEXEC);
  struct Overwritten* one = calloc(1, sizeof *one);
  *one = (struct Overwritten){at, bytes, malloc(bytes), file->overwritten};
  if (reader >= 0 && pread(reader, one->before, bytes, at) == (ssize_t)bytes) file->overwritten = one;
  if (reader >= 0) REAL(close)(reader);
}

// A file cut shorter than its durable length keeps the rest until it is synced.
static void before_truncate(int descriptor, off_t length) {
  struct File* file = mode == mode_power && hurt_at ? file_of(descriptor, 1) : NULL;
  if (file && length < file->synced) before_write(descriptor, length, (size_t)(file->synced - length));
}

static void synced(int descriptor) {
  struct stat status;
  if (mode != mode_power || !hurt_at || fstat(descriptor, &status) != 0) return;
  if (S_ISDIR(status.st_mode)) {
    char folder[PATH_MAX];
    if (!path_of_descriptor(descriptor, folder)) return;
    const size_t length = strlen(folder);
    for (int i = 0; i < name_count; ++i) {
      const char* slash = strrchr(names[i].path, '/');
      if ((size_t)(slash - names[i].path) == length && !strncmp(names[i].path, folder, length))
        names[i].durable = 1;
    }
    return;
  }
  struct File* file = file_of(descriptor, 1);
  if (!file) return;
  forget_overwritten(file);
  file->synced = status.st_size;
}

// A second name for what stands at `path`, or NULL if nothing does.
static char* bury(const char* path) {
  struct stat status;
  if (mode != mode_power || !hurt_at || lstat(path, &status) != 0 || S_ISDIR(status.st_mode)) return NULL;
  char kept[PATH_MAX];
  snprintf(kept, sizeof kept, "%s/%d-%d", grave, (int)getpid(), graves++);
  return REAL(link)(path, kept) == 0 ? strdup(kept) : NULL;
}

static void note_name(enum name_kind kind, const char* path, const char* before, char* kept) {
  if (mode != mode_power || !hurt_at || name_count == 4096) return;
  names[name_count++] = (struct Name){kind, strdup(path), before ? strdup(before) : NULL, kept, 0};
}

static void undo_name(const struct Name* name) {
  switch (name->kind) {
    case name_made:
      REAL(unlink)(name->path);
      break;
    case name_moved:
      REAL(rename)(name->path, name->before);
      if (name->kept) REAL(link)(name->kept, name->path);
      break;
    case name_removed:
      if (name->kept) REAL(link)(name->kept, name->path);
      break;
    case folder_made: {
      char kept[PATH_MAX];
      snprintf(kept, sizeof kept, "%s/%d-%d", grave, (int)getpid(), graves++);
      REAL(rename)(name->path, kept);
      break;
    }
    case folder_removed:
      REAL(mkdir)(name->path, 0777);
      break;
  }
}

static int pending_names(void) {
  int count = 0;
  for (int i = 0; i < name_count; ++i) count += !names[i].durable;
  return count;
}

static void power_cut(void) {
  for (struct File* file = files; file; file = file->next) {
    struct stat status;
    if (fstat(file->descriptor, &status) != 0) continue;
    const off_t length = status.st_size;
    if (length > file->synced || file->overwritten) {
      if (REAL(ftruncate)(file->descriptor, file->synced) != 0) continue;
      // The oldest bytes last: they are the durable ones.
      for (struct Overwritten* at = file->overwritten; at; at = at->next)
        if (REAL(pwrite)(file->descriptor, at->before, at->bytes, at->at) < 0) break;
      if (zero_tail && length > file->synced && REAL(ftruncate)(file->descriptor, length) != 0) continue;
    }
  }
  const int all = !strcmp(undo, "all"), one = *undo >= '0' && *undo <= '9' ? atoi(undo) : -1;
  for (int i = name_count - 1, pending = pending_names() - 1; i >= 0; --i) {
    if (names[i].durable) continue;
    if (all || pending == one) undo_name(&names[i]);
    --pending;
  }
  kill(getpid(), SIGKILL);
  for (;;) pause();
}
