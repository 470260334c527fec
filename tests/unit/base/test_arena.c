/* arena: zeroed, aligned, bounded memory that is forgotten all at once. */

/* cmocka.h needs the headers above it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdalign.h>
#include <stdbool.h>
#include <string.h>

#include "base/arena.h"
#include "child.h"

static int set_up(void **state)
{
    *state = arena_create(8 << 20);
    return 0;
}

static int tear_down(void **state)
{
    arena_destroy(*state);
    return 0;
}

static bool is_zero(const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

static void memory_is_zeroed_and_aligned_also_when_used_again(void **state)
{
    static const size_t sizes[] = { 0, 1, 3, 16, 100, 5000, 16384, 70000, 2 << 20 };

    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            char *bytes = arena_alloc(*state, sizes[i]);
            arena_strdup(*state, "odd"); /* the next one does not start aligned by chance */
            assert_int_equal((uintptr_t)bytes % alignof(max_align_t), 0);
            assert_true(is_zero(bytes, sizes[i]));
            memset(bytes, 0xff, sizes[i]);
        }
        arena_reset(*state);
    }
}

static void allocations_do_not_overlap(void **state)
{
    char *all[2000];

    for (size_t i = 0; i < 2000; i++) {
        all[i] = i % 3 == 0 ? arena_strdup(*state, "0123456789") : arena_alloc(*state, i % 700 + 8);
        memset(all[i], (int)(i % 251), 8);
    }
    for (size_t i = 0; i < 2000; i++) {
        for (size_t j = 0; j < 8; j++) {
            assert_int_equal((unsigned char)all[i][j], i % 251);
        }
    }
}

static void text_is_copied_with_its_nul(void **state)
{
    char text[] = "abcdef";
    char *copy = arena_strdup(*state, text);
    char *part = arena_strndup(*state, text, 3);
    char *made = arena_printf(*state, "%s/%05d", text, 42);

    memset(text, 'x', sizeof(text) - 1);
    assert_string_equal(copy, "abcdef");
    assert_string_equal(part, "abc");
    assert_string_equal(made, "abcdef/00042");
    assert_string_equal(arena_strndup(*state, NULL, 0), "");
}

static void long_text_is_formatted_whole(void **state)
{
    char *made = arena_printf(*state, "%099999d", 7);

    assert_int_equal(strlen(made), 99999);
    assert_int_equal(made[99998], '7');
}

static void used_counts_since_the_last_reset(void **state)
{
    assert_int_equal(arena_used(*state), 0);
    arena_alloc(*state, 100);
    arena_array(*state, 10, 30);
    arena_strdup(*state, "1234567");
    assert_int_equal(arena_used(*state), 408);
    arena_reset(*state);
    assert_int_equal(arena_used(*state), 0);
}

#ifndef ARENA_MALLOC
static void the_same_memory_serves_the_next_unit_of_work(void **state)
{
    void *first = arena_alloc(*state, 64);
    arena_alloc(*state, 1 << 20);
    arena_reset(*state);
    assert_ptr_equal(arena_alloc(*state, 64), first);
}
#endif

static void take_all(void *arena)
{
    for (int i = 0; i < 9; i++) {
        arena_alloc(arena, 1 << 20);
    }
}

static void past_the_limit_the_process_panics(void **state)
{
    assert_panics(take_all, *state, "arena limit");
    /* All of the limit may be used, in any mixture. */
    arena_alloc(*state, (8 << 20) - 5);
    arena_strdup(*state, "four");
}

static void multiply_too_far(void *arena)
{
    volatile size_t count = SIZE_MAX / 8 + 2;
    arena_array(arena, count, 8);
}

static void an_array_that_overflows_panics(void **state)
{
    assert_panics(multiply_too_far, *state, "array of ");
}

/* Elsewhere reading what is gone is an error, which the next test shows. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(ARENA_MALLOC)
static void wiped_memory_is_gone(void **state)
{
    char *secret = arena_strdup(*state, "correct horse battery staple");
    char *volatile stale = secret;

    arena_wipe(*state);
    assert_int_equal(arena_used(*state), 0);
    for (size_t i = 0; i < 28; i++) {
        assert_true(stale[i] == 0 || stale[i] == (char)0xa5);
    }
}
#endif

#ifdef __SANITIZE_ADDRESS__
static void read_stale(void *arena)
{
    volatile char *text = arena_strdup(arena, "stale");
    arena_reset(arena);
    _exit(text[0] == 's' ? 3 : 4);
}

static void write_past_the_end(void *arena)
{
    /* volatile hides the size from the compiler, whose own check would come first. */
    volatile char *volatile bytes = arena_alloc(arena, 13);
    arena_alloc(arena, 13);
    bytes[13] = 1;
    _exit(3);
}

static void the_sanitizer_sees_misuse(void **state)
{
    static char said[CHILD_SAID_BYTES];

    run_in_child(read_stale, *state, said);
    if (strstr(said, "ERROR: AddressSanitizer: ") == NULL) {
        fail_msg("stale text was read: '%s'", said);
    }
    run_in_child(write_past_the_end, *state, said);
    if (strstr(said, "ERROR: AddressSanitizer: ") == NULL) {
        fail_msg("the end was passed: '%s'", said);
    }
}
#endif

static void nothing_is_destroyed_without_harm(void **state)
{
    (void)state;
    arena_destroy(NULL);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(memory_is_zeroed_and_aligned_also_when_used_again),
        test(allocations_do_not_overlap),
        test(text_is_copied_with_its_nul),
        test(long_text_is_formatted_whole),
        test(used_counts_since_the_last_reset),
#ifndef ARENA_MALLOC
        test(the_same_memory_serves_the_next_unit_of_work),
#endif
        test(past_the_limit_the_process_panics),
        test(an_array_that_overflows_panics),
#if !defined(__SANITIZE_ADDRESS__) && !defined(ARENA_MALLOC)
        test(wiped_memory_is_gone),
#endif
#ifdef __SANITIZE_ADDRESS__
        test(the_sanitizer_sees_misuse),
#endif
        test(nothing_is_destroyed_without_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
