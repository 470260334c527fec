/*
 * pages - big zeroed memory straight from the kernel
 */
#include "engine/pages.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/panic.h"

void *pages_map(size_t size_bytes)
{
    void *pages = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (pages == MAP_FAILED) {
        panic("mmap of %zu bytes: %s", size_bytes, strerror(errno));
    }
    return pages;
}

void pages_unmap(void *pages, size_t size_bytes)
{
    if (pages != NULL && munmap(pages, size_bytes) != 0) {
        panic("munmap of %zu bytes: %s", size_bytes, strerror(errno));
    }
}

void pages_clear(void *pages, size_t used_bytes)
{
    if (used_bytes > 0 && madvise(pages, used_bytes, MADV_DONTNEED) != 0) {
        panic("madvise of %zu bytes: %s", used_bytes, strerror(errno));
    }
}
