/*
 * fuzz_range - the Range header, and the list of If-None-Match
 *
 * The first byte is the size of the file, the rest the header. What comes out lies within the file,
 * and a part is never empty.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "http/range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t first, count;

    if (size == 0) {
        return 0;
    }
    char *range = strndup((const char *)data + 1, size - 1);
    assert(range != NULL);
    enum http_range is = http_range_read(range, NULL, "\"e\"", data[0], &first, &count);
    assert(first >= 0 && count >= 0 && first + count <= data[0]);
    assert((is == HTTP_RANGE_PART) <= (count > 0));
    assert(is != HTTP_RANGE_WHOLE || count == data[0]);
    (void)http_etag_listed(range, "\"e\"");
    free(range);
    return 0;
}
