/* Preloaded into a worker: makes one system call fail.
 *
 * FAULT_CALL   fdatasync | fsync | pwrite | write | rename | open | ftruncate | sync_file_range
 * FAULT_AT     which call of that kind, from 1
 * FAULT_HOW    an errno's number, "short" (half is written, and said so), "hang" (it never returns) or "kill"
 * FAULT_UNDER  only calls on files whose path begins so
 * FAULT_ARMED  only calls while this file is there, if it is named
 * FAULT_MARK   file that is made when the call was met
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long seen;

static int under(int fd, const char *path)
{
    const char *prefix = getenv("FAULT_UNDER");
    char link[64], real[4096];
    if (!prefix)
        return 0;
    if (!path) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, real, sizeof real - 1);
        if (length < 0)
            return 0;
        real[length] = 0;
        path = real;
    }
    return strncmp(path, prefix, strlen(prefix)) == 0;
}

/* 0: go on; 1: fail with errno set; 2: write half. */
static int fault(const char *call, int fd, const char *path)
{
    const char *which = getenv("FAULT_CALL"), *at = getenv("FAULT_AT"), *how = getenv("FAULT_HOW");
    if (!which || !at || !how || strcmp(which, call) != 0 || !under(fd, path))
        return 0;
    const char *armed = getenv("FAULT_ARMED");
    if (armed && access(armed, F_OK) != 0)
        return 0;
    if (atomic_fetch_add(&seen, 1) + 1 != atol(at))
        return 0;
    const char *mark = getenv("FAULT_MARK");
    if (mark) {
        int (*open_mark)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
        close(open_mark(mark, O_CREAT | O_WRONLY, 0600));
    }
    if (strcmp(how, "kill") == 0)
        raise(SIGKILL);
    while (strcmp(how, "hang") == 0)
        pause();
    if (strcmp(how, "short") == 0)
        return 2;
    errno = atoi(how);
    return 1;
}

#define NEXT(name) ({ static __typeof__(&name) next; if (!next) next = dlsym(RTLD_NEXT, #name); next; })

int fdatasync(int fd) { return fault("fdatasync", fd, NULL) ? -1 : NEXT(fdatasync)(fd); }
int fsync(int fd) { return fault("fsync", fd, NULL) ? -1 : NEXT(fsync)(fd); }

int sync_file_range(int fd, off64_t offset, off64_t length, unsigned int flags)
{
    return fault("sync_file_range", fd, NULL) ? -1 : NEXT(sync_file_range)(fd, offset, length, flags);
}

ssize_t pwrite64(int fd, const void *octets, size_t count, off64_t offset)
{
    switch (fault("pwrite", fd, NULL)) {
    case 1: return -1;
    case 2: return NEXT(pwrite64)(fd, octets, count / 2, offset);
    default: return NEXT(pwrite64)(fd, octets, count, offset);
    }
}

ssize_t write(int fd, const void *octets, size_t count)
{
    switch (fault("write", fd, NULL)) {
    case 1: return -1;
    case 2: return NEXT(write)(fd, octets, count / 2);
    default: return NEXT(write)(fd, octets, count);
    }
}

int ftruncate64(int fd, off64_t length) { return fault("ftruncate", fd, NULL) ? -1 : NEXT(ftruncate64)(fd, length); }
int rename(const char *from, const char *to) { return fault("rename", -1, from) ? -1 : NEXT(rename)(from, to); }

int open64(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = va_arg(more, mode_t);
    va_end(more);
    return fault("open", -1, path) ? -1 : NEXT(open64)(path, flags, mode);
}
