/* lib/http/range.h: the examples of RFC 9110, the edges of a file, and nonsense */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "http/range.h"

#define SIZE 10000
#define ETAG "\"5f70\""

static void check(const char *range, const char *if_range, int64_t size, enum http_range wanted,
                  int64_t wanted_first, int64_t wanted_count)
{
    int64_t first = -7, count = -7;

    assert_int_equal(http_range_read(range, if_range, ETAG, size, &first, &count), wanted);
    assert_true(first == wanted_first);
    assert_true(count == wanted_count);
}

static void a_part_is_what_it_asks_for(void **state)
{
    (void)state;
    check("bytes=0-499", NULL, SIZE, HTTP_RANGE_PART, 0, 500);
    check("bytes=500-999", NULL, SIZE, HTTP_RANGE_PART, 500, 500);
    check("bytes=-500", NULL, SIZE, HTTP_RANGE_PART, 9500, 500);
    check("bytes=9500-", NULL, SIZE, HTTP_RANGE_PART, 9500, 500);
    check("bytes=0-0", NULL, SIZE, HTTP_RANGE_PART, 0, 1);
    check("Bytes= 0-", NULL, SIZE, HTTP_RANGE_PART, 0, SIZE);
    check("bytes=9999-9999", NULL, SIZE, HTTP_RANGE_PART, 9999, 1);
    check("bytes=9990-20000", NULL, SIZE, HTTP_RANGE_PART, 9990, 10);
    check("bytes=-20000", NULL, SIZE, HTTP_RANGE_PART, 0, SIZE);
    check("bytes=0-99999999999999999999999", NULL, SIZE, HTTP_RANGE_PART, 0, SIZE);
}

static void what_is_not_there_is_none(void **state)
{
    (void)state;
    check("bytes=10000-", NULL, SIZE, HTTP_RANGE_NONE, 0, 0);
    check("bytes=10000-10001", NULL, SIZE, HTTP_RANGE_NONE, 0, 0);
    check("bytes=99999999999999999999999-", NULL, SIZE, HTTP_RANGE_NONE, 0, 0);
    check("bytes=-0", NULL, SIZE, HTTP_RANGE_NONE, 0, 0);
    check("bytes=0-", NULL, 0, HTTP_RANGE_NONE, 0, 0);
    check("bytes=-1", NULL, 0, HTTP_RANGE_NONE, 0, 0);
}

static void what_cannot_be_read_is_ignored(void **state)
{
    static const char *const ranges[] = {
        "",        "bytes",     "bytes=",     "bytes=-",       "bytes=a-b", "bytes=5-4",
        "bytes=1", "items=0-1", "bytes=1-2x", "bytes=0-1,5-6", "bytes=--1", "bytes=+1-2"
    };

    (void)state;
    check(NULL, NULL, SIZE, HTTP_RANGE_WHOLE, 0, SIZE);
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        check(ranges[i], NULL, SIZE, HTTP_RANGE_WHOLE, 0, SIZE);
    }
}

static void another_file_is_given_whole(void **state)
{
    (void)state;
    check("bytes=0-9", ETAG, SIZE, HTTP_RANGE_PART, 0, 10);
    check("bytes=0-9", "\"5f71\"", SIZE, HTTP_RANGE_WHOLE, 0, SIZE);
    check("bytes=0-9", "W/" ETAG, SIZE, HTTP_RANGE_WHOLE, 0, SIZE);
    check("bytes=0-9", "Fri, 20 Nov 2026 00:00:00 GMT", SIZE, HTTP_RANGE_WHOLE, 0, SIZE);
    check(NULL, ETAG, SIZE, HTTP_RANGE_WHOLE, 0, SIZE);
}

static void a_list_of_etags_is_read(void **state)
{
    static const char *const lists[] = {
        ETAG, " " ETAG " ", "W/" ETAG, "\"x\", " ETAG, "\"x\"," ETAG ",\"y\"", "\"a, b\",W/" ETAG,
        "*",  " * ",
    };
    static const char *const others[] = {
        "",
        " ",
        "\"x\"",
        "5f70",
        "\"5f70",
        "\"5f7\"",
        "\"5f700\"",
        "\"\"",
        "x " ETAG,
        "*, " ETAG,
        "\"x\" nonsense " ETAG,
        "W/",
        "\"",
        "\"x, " ETAG,
    };

    (void)state;
    assert_false(http_etag_listed(NULL, ETAG));
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        assert_true(http_etag_listed(lists[i], ETAG));
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_false(http_etag_listed(others[i], ETAG));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_part_is_what_it_asks_for),
        cmocka_unit_test(what_is_not_there_is_none),
        cmocka_unit_test(what_cannot_be_read_is_ignored),
        cmocka_unit_test(another_file_is_given_whole),
        cmocka_unit_test(a_list_of_etags_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
