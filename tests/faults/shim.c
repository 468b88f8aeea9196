// Stands between a program and the C library: records what is done to the files of a folder, and makes chosen calls fail.
// Environment: SHIM_FOLDER, the folder (no slash at its end); SHIM_TRACE, the file that gets the records, or unset.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REAL(name) ({ \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(real))dlsym(RTLD_NEXT, #name); \
    real; })

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;  // a record stands where its call took effect
static const char *folder;
static int trace = -1;
static int kind, at, error, how, hits;  // fail the at-th call of a kind; how: 0 once, 1 from then on, 2 half done

__attribute__((constructor)) static void start(void) {
    folder = getenv("SHIM_FOLDER");
    const char *path = getenv("SHIM_TRACE");
    if (path) trace = REAL(open)(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    unsetenv("LD_PRELOAD");
}

// Called from the program itself: what to fail from now on, and how many calls have failed.
void shim_fail(int k, int n, int e, int h) {
    pthread_mutex_lock(&lock);
    kind = k, at = n, error = e, how = h, hits = 0;
    pthread_mutex_unlock(&lock);
}
int shim_hits(void) { kind = 0; return hits; }

static int inside(const char *path) {
    size_t n = folder ? strlen(folder) : 0;
    return n && !strncmp(path, folder, n) && (path[n] == '/' || !path[n]);
}

static int ours(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return inside(path);
}

static int fails(int k) {  // whether this call, of kind k, is to fail
    if (k != kind || at <= 0) return 0;
    if (--at > 0) return 0;
    if (how == 1) at = 1;
    hits++;
    errno = error;
    return 1;
}

static void record(char k, uint64_t inode, int64_t offset, const void *data, uint32_t length) {
    if (trace < 0) return;
    int before = errno;
    struct __attribute__((packed)) { uint64_t inode; int64_t offset; uint32_t length; char kind; }
        head = {inode, offset, length, k};
    if (REAL(write)(trace, &head, sizeof head) != sizeof head) abort();
    if (length && REAL(write)(trace, data, length) != (ssize_t)length) abort();
    errno = before;
}

static uint64_t inode(int fd) { struct stat found; return fstat(fd, &found) ? 0 : found.st_ino; }

static void record_paths(char k, const char *one, const char *two) {
    char both[8192];
    struct stat found;
    int n = snprintf(both, sizeof both, "%s%c%s", one, 0, two);
    record(k, lstat(*two ? two : one, &found) ? 0 : found.st_ino, 0, both, n);
}

#define GUARDED(condition, type, call, ...) \
    if (!(condition)) return call; \
    pthread_mutex_lock(&lock); \
    type result; \
    __VA_ARGS__ \
    pthread_mutex_unlock(&lock); \
    return result;

#define OPEN(name) int name(const char *path, int flags, ...) { \
    va_list more; va_start(more, flags); \
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0; \
    va_end(more); \
    GUARDED(inside(path), int, REAL(name)(path, flags, mode), \
        result = fails('o') ? -1 : REAL(name)(path, flags, mode); \
        if (result >= 0 && flags & O_CREAT) record('c', inode(result), 0, path, strlen(path)); \
        if (result >= 0 && flags & O_TRUNC) record('t', inode(result), 0, 0, 0);) }
OPEN(open)
OPEN(open64)

#define PWRITE(name) ssize_t name(int fd, const void *data, size_t n, off_t offset) { \
    GUARDED(ours(fd), ssize_t, REAL(name)(fd, data, n, offset), \
        int failed = fails('w'), why = errno; \
        ssize_t done = failed && how != 2 ? 0 : REAL(name)(fd, data, failed ? n / 2 : n, offset); \
        if (done > 0) record('w', inode(fd), offset, data, done); \
        result = failed ? -1 : done; \
        if (failed) errno = why;) }
PWRITE(pwrite)
PWRITE(pwrite64)

ssize_t write(int fd, const void *data, size_t n) {
    if (fd == 1) {  // what the program says is a mark among the records
        pthread_mutex_lock(&lock);
        record('m', 0, 0, data, n);
        pthread_mutex_unlock(&lock);
    }
    GUARDED(fd > 2 && fd != trace && ours(fd), ssize_t, REAL(write)(fd, data, n),
        int failed = fails('w');
        off_t offset = lseek(fd, 0, SEEK_CUR);
        result = failed ? -1 : REAL(write)(fd, data, n);
        if (result > 0) record('w', inode(fd), offset, data, result);)
}

#define PREAD(name) ssize_t name(int fd, void *data, size_t n, off_t offset) { \
    GUARDED(ours(fd), ssize_t, REAL(name)(fd, data, n, offset), \
        result = fails('r') ? -1 : REAL(name)(fd, data, n, offset);) }
PREAD(pread)
PREAD(pread64)

ssize_t read(int fd, void *data, size_t n) {
    GUARDED(fd > 2 && ours(fd), ssize_t, REAL(read)(fd, data, n), result = fails('r') ? -1 : REAL(read)(fd, data, n);)
}

#define TRUNCATE(name) int name(int fd, off_t n) { \
    GUARDED(ours(fd), int, REAL(name)(fd, n), \
        result = fails('t') ? -1 : REAL(name)(fd, n); \
        if (!result) record('t', inode(fd), n, 0, 0);) }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

#define SYNC(name) int name(int fd) { \
    GUARDED(ours(fd), int, REAL(name)(fd), \
        result = fails('s') ? -1 : REAL(name)(fd); \
        if (!result) record('s', inode(fd), 0, 0, 0);) }
SYNC(fsync)
SYNC(fdatasync)

#define PATHS(name, k, one, two, signature, ...) int name signature { \
    GUARDED(inside(one), int, REAL(name)(__VA_ARGS__), \
        result = fails(k) ? -1 : REAL(name)(__VA_ARGS__); \
        if (!result) record_paths(k, one, two);) }
PATHS(rename, 'n', from, to, (const char *from, const char *to), from, to)
PATHS(link, 'l', from, to, (const char *from, const char *to), from, to)
PATHS(unlink, 'u', path, "", (const char *path), path)
PATHS(mkdir, 'd', path, "", (const char *path, mode_t mode), path, mode)
