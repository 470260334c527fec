/* shape: what a table accepts, what it refuses and in which words, and that it reads what it
 * writes. */

/* cmocka.h needs the headers above it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "json/shape.h"

struct inner {
    const char *phone;
    int64_t count;
};

static const struct field inner_fields[] = {
    FIELD_STR(struct inner, phone, 1, 16),
    FIELD_INT(struct inner, count, -5, 500, FIELD_OPTIONAL),
    FIELD_END,
};

static const struct shape inner_shape = { "inner", sizeof(struct inner), inner_fields };

enum color { RED, GREEN };
static const char *const colors[] = { "red", "green", NULL };

struct all {
    const char *text;
    int64_t number;
    bool truth;
    int64_t at_ms;
    int color;
    struct inner object;
    struct list list;
    struct strings strings;
    struct map map;
    struct table table;
};

static const struct field required_fields[] = {
    FIELD_STR(struct all, text, 0, 10),
    FIELD_INT(struct all, number, INT64_MIN, INT64_MAX),
    FIELD_BOOL(struct all, truth),
    FIELD_TIME(struct all, at_ms),
    FIELD_ENUM(struct all, color, colors),
    FIELD_OBJECT(struct all, object, &inner_shape),
    FIELD_LIST(struct all, list, &inner_shape, 0, 3),
    FIELD_STRINGS(struct all, strings, 0, 3, 5),
    FIELD_MAP(struct all, map, 3, 5),
    FIELD_TABLE(struct all, table, 3, 5),
    FIELD_END,
};

static const struct shape required = { "required", sizeof(struct all), required_fields };

static const struct field optional_fields[] = {
    FIELD_STR(struct all, text, 1, 10, FIELD_OPTIONAL),
    FIELD_INT(struct all, number, 1, 10, FIELD_OPTIONAL),
    FIELD_BOOL(struct all, truth, FIELD_OPTIONAL),
    FIELD_TIME(struct all, at_ms, FIELD_OPTIONAL),
    FIELD_ENUM(struct all, color, colors, FIELD_OPTIONAL),
    FIELD_OBJECT(struct all, object, &inner_shape, FIELD_OPTIONAL),
    FIELD_LIST(struct all, list, &inner_shape, 1, 3, FIELD_OPTIONAL),
    FIELD_STRINGS(struct all, strings, 1, 3, 5, FIELD_OPTIONAL),
    FIELD_MAP(struct all, map, 3, 5, FIELD_OPTIONAL),
    FIELD_TABLE(struct all, table, 3, 5, FIELD_OPTIONAL),
    FIELD_END,
};

static const struct shape optional = { "optional", sizeof(struct all), optional_fields };

static const char full[] = "{\"text\":\"a\",\"number\":-9223372036854775808,\"truth\":true,"
                           "\"at_ms\":\"2026-11-20T09:12:44.031Z\",\"color\":\"green\","
                           "\"object\":{\"phone\":\"+254\",\"count\":3},"
                           "\"list\":[{\"phone\":\"1\"},{\"phone\":\"2\",\"count\":-5}],"
                           "\"strings\":[\"x\",\"\"],\"map\":{\"k1\":\"v1\",\"k2\":\"\"},"
                           "\"table\":[[\"a\",\"b\"],[\"\",\"d\"]]}";

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

static bool read_bytes(struct arena *arena, const struct shape *shape, const char *body, size_t len,
                       void *out, struct err *err)
{
    /* An exact copy, so that a sanitizer sees a read beyond it. */
    char *copy = malloc(len > 0 ? len : 1);
    memcpy(copy, body, len);
    bool good = shape_read(shape, copy, len, out, arena, err);
    free(copy); /* and nothing of it may be kept */
    return good;
}

static void read_full(struct arena *arena, const struct shape *shape, const char *body,
                      struct all *out)
{
    struct err err;

    if (!read_bytes(arena, shape, body, strlen(body), out, &err)) {
        fail_msg("%s: %s: %s", body, err.what, err.detail);
    }
}

static void assert_writes(const struct shape *shape, const void *in, const char *want)
{
    struct str out = { 0 };

    shape_write(shape, in, &out);
    assert_string_equal(out.bytes, want);
    assert_int_equal(out.len, strlen(want));
    str_free(&out);
}

static void every_type_is_read(void **state)
{
    struct all all;

    read_full(*state, &required, full, &all);
    assert_string_equal(all.text, "a");
    assert_true(all.number == INT64_MIN);
    assert_true(all.truth);
    assert_true(all.at_ms == 1795165964031);
    assert_int_equal(all.color, GREEN);
    assert_string_equal(all.object.phone, "+254");
    assert_int_equal(all.object.count, 3);
    assert_int_equal(all.list.count, 2);
    const struct inner *items = all.list.items;
    assert_string_equal(items[0].phone, "1");
    assert_int_equal(items[0].count, 0);
    assert_string_equal(items[1].phone, "2");
    assert_int_equal(items[1].count, -5);
    assert_int_equal(all.strings.count, 2);
    assert_string_equal(all.strings.items[0], "x");
    assert_string_equal(all.strings.items[1], "");
    assert_int_equal(all.map.count, 2);
    assert_string_equal(all.map.keys[0], "k1");
    assert_string_equal(all.map.values[0], "v1");
    assert_string_equal(all.map.keys[1], "k2");
    assert_string_equal(all.map.values[1], "");
    assert_int_equal(all.table.rows, 2);
    assert_int_equal(all.table.cols, 2);
    assert_string_equal(all.table.cells[1], "b");
    assert_string_equal(all.table.cells[2], "");
    assert_string_equal(all.table.cells[3], "d");
}

static void what_is_written_is_what_was_read(void **state)
{
    struct all all;

    read_full(*state, &required, full, &all);
    assert_writes(&required, &all, full);
}

static void white_space_order_and_unknown_fields_do_not_matter(void **state)
{
    struct inner inner;
    struct err err;
    const char *body =
        " {\n \"later\" : [ {\"x\": 1.5e3} ], \"count\" : 2,\t\"phone\" : \"1\" }\r\n";

    assert_true(read_bytes(*state, &inner_shape, body, strlen(body), &inner, &err));
    assert_string_equal(inner.phone, "1");
    assert_int_equal(inner.count, 2);
}

static void absent_and_null_optional_fields_are_zero(void **state)
{
    static const struct all zero;
    struct all all;

    memset(&all, 0xff, sizeof(all));
    read_full(*state, &optional, "{}", &all);
    assert_memory_equal(&all, &zero, sizeof(all));
    memset(&all, 0xff, sizeof(all));
    read_full(*state, &optional,
              "{\"text\":null,\"number\":null,\"truth\":null,\"at_ms\":null,\"color\":null,"
              "\"object\":null,\"list\":null,\"strings\":null,\"map\":null,\"table\":null}",
              &all);
    assert_memory_equal(&all, &zero, sizeof(all));
}

static void zero_optional_fields_are_left_out(void **state)
{
    struct all all = { 0 };

    (void)state;
    assert_writes(&optional, &all, "{}");
    all.text = ""; /* not allowed to be empty, so it means none */
    assert_writes(&optional, &all, "{}");
    all.truth = true;
    all.object.phone = "1";
    assert_writes(&optional, &all, "{\"truth\":true,\"object\":{\"phone\":\"1\"}}");
}

static void zero_required_fields_are_written(void **state)
{
    struct all all = { 0 };

    assert_writes(&required, &all,
                  "{\"text\":\"\",\"number\":0,\"truth\":false,"
                  "\"at_ms\":\"1970-01-01T00:00:00.000Z\",\"color\":\"red\","
                  "\"object\":{\"phone\":\"\"},\"list\":[],\"strings\":[],\"map\":{},"
                  "\"table\":[]}");
    (void)state;
}

static void empty_collections_are_read(void **state)
{
    struct all all;
    struct str body = { 0 };
    struct all zero = { .object.phone = "x" };

    shape_write(&required, &zero, &body);
    read_full(*state, &required, body.bytes, &all);
    assert_int_equal(all.list.count + all.strings.count + all.map.count + all.table.rows, 0);
    str_free(&body);
    read_full(*state, &optional, "{\"table\":[[],[]]}", &all);
    assert_int_equal(all.table.rows, 2);
    assert_int_equal(all.table.cols, 0);
    assert_writes(&optional, &all, "{\"table\":[[],[]]}");
}

struct refusal {
    const struct shape *shape;
    const char *body;
    const char *what;
    const char *detail;
};

static const struct refusal refusals[] = {
    /* not JSON */
    { &optional, "", "bad_json", "line 1, column 0: '[' or '{' expected" },
    { &optional, "{", "bad_json", "line 1, column 1: string or '}' expected" },
    { &optional, "{} {}", "bad_json", "line 1, column 4: end of file expected" },
    { &optional, "{}x", "bad_json", "line 1, column 3: end of file expected" },
    { &optional, "{\"text\":\"+254700000123\" 5}", "bad_json", "line 1, column 25: '}' expected" },
    { &optional, "{\"text\":\"a\",\"text\":\"b\"}", "bad_json",
      "line 1, column 18: duplicate object key" },
    { &optional, "{\"x\":{\"y\":1,\"y\":2}}", "bad_json",
      "line 1, column 15: duplicate object key" },
    { &optional, "{\"text\":\"a\\u0000b\"}", "bad_json",
      "line 1, column 18: \\u0000 is not allowed without JSON_ALLOW_NUL" },
    { &optional, "{\"a\\u0000\":1}", "bad_json",
      "line 1, column 10: NUL byte in object key not supported" },
    { &optional, "{\"text\":\"\xff\"}", "bad_json",
      "line 1, column 9: unable to decode byte 0xff" },
    { &optional, "{\"text\":\"a\nb\"}", "bad_json", "line 1, column 10: unexpected newline" },
    { &optional, "{\"text\":\"\\ud800\"}", "bad_json",
      "line 1, column 16: invalid Unicode '\\uD800'" },
    { &optional, "{'text':1}", "bad_json", "line 1, column 2: string or '}' expected" },
    { &optional, "{\"number\":NaN}", "bad_json", "line 1, column 13: invalid token" },
    { &optional, "{\"number\":01}", "bad_json", "line 1, column 11: invalid token" },
    { &optional, "{\"number\":9223372036854775808}", "bad_json",
      "line 1, column 29: too big integer" },
    /* not an object */
    { &optional, "[]", "bad_field", "document: is an array, must be an object" },
    { &optional, "\"x\"", "bad_json", "line 1, column 3: '[' or '{' expected" },
    /* missing and of another type */
    { &inner_shape, "{}", "bad_field", "phone: missing" },
    { &inner_shape, "{\"phone\":null}", "bad_field", "phone: is null, must be a string" },
    { &optional, "{\"text\":5}", "bad_field", "text: is an integer, must be a string" },
    { &optional, "{\"text\":[]}", "bad_field", "text: is an array, must be a string" },
    { &optional, "{\"number\":\"5\"}", "bad_field", "number: is a string, must be an integer" },
    { &optional, "{\"number\":5.0}", "bad_field",
      "number: is a number with a fraction, must be an integer" },
    { &optional, "{\"number\":true}", "bad_field", "number: is a boolean, must be an integer" },
    { &optional, "{\"truth\":1}", "bad_field", "truth: is an integer, must be a boolean" },
    { &optional, "{\"at_ms\":1}", "bad_field",
      "at_ms: is an integer, must be a string with an RFC 3339 time" },
    { &optional, "{\"at_ms\":\"today\"}", "bad_field",
      "at_ms: not an RFC 3339 time such as 2026-11-20T09:12:44Z" },
    { &optional, "{\"color\":1}", "bad_field", "color: is an integer, must be a string" },
    { &optional, "{\"color\":\"blue\"}", "bad_field", "color: not one of: red green" },
    { &optional, "{\"color\":\"Red\"}", "bad_field", "color: not one of: red green" },
    { &optional, "{\"color\":\"\"}", "bad_field", "color: not one of: red green" },
    { &optional, "{\"object\":[]}", "bad_field", "object: is an array, must be an object" },
    { &optional, "{\"list\":{}}", "bad_field", "list: is an object, must be an array" },
    { &optional, "{\"strings\":\"x\"}", "bad_field",
      "strings: is a string, must be an array of strings" },
    { &optional, "{\"map\":[]}", "bad_field", "map: is an array, must be an object of strings" },
    { &optional, "{\"table\":{}}", "bad_field",
      "table: is an object, must be an array of arrays of strings" },
    /* limits */
    { &optional, "{\"text\":\"12345678901\"}", "bad_field",
      "text: 11 bytes long, at most 10 allowed" },
    { &optional, "{\"text\":\"\"}", "bad_field", "text: 0 bytes long, at least 1 needed" },
    { &optional, "{\"text\":\"\\u20ac\\u20ac\\u20ac\\u20ac\"}", "bad_field",
      "text: 12 bytes long, at most 10 allowed" },
    { &optional, "{\"number\":0}", "bad_field", "number: outside the range 1 to 10" },
    { &optional, "{\"number\":11}", "bad_field", "number: outside the range 1 to 10" },
    { &optional, "{\"list\":[]}", "bad_field", "list: 0 elements, at least 1 needed" },
    { &optional, "{\"list\":[1,2,3,4]}", "bad_field", "list: 4 elements, at most 3 allowed" },
    { &optional, "{\"strings\":[]}", "bad_field", "strings: 0 elements, at least 1 needed" },
    { &optional, "{\"strings\":[\"\",\"\",\"\",\"\"]}", "bad_field",
      "strings: 4 elements, at most 3 allowed" },
    { &optional, "{\"map\":{\"a\":\"\",\"b\":\"\",\"c\":\"\",\"d\":\"\"}}", "bad_field",
      "map: 4 elements, at most 3 allowed" },
    { &optional, "{\"table\":[[],[],[],[]]}", "bad_field", "table: 4 elements, at most 3 allowed" },
    /* deeper */
    { &optional, "{\"object\":{\"count\":1}}", "bad_field", "object.phone: missing" },
    { &optional, "{\"list\":[{\"phone\":\"1\"},{\"phone\":\"12345678901234567\"}]}", "bad_field",
      "list[1].phone: 17 bytes long, at most 16 allowed" },
    { &optional, "{\"list\":[null]}", "bad_field", "list[0]: is null, must be an object" },
    { &optional, "{\"strings\":[\"a\",null]}", "bad_field",
      "strings[1]: is null, must be a string" },
    { &optional, "{\"strings\":[\"123456\"]}", "bad_field",
      "strings[0]: 6 bytes long, at most 5 allowed" },
    { &optional, "{\"map\":{\"k\":1}}", "bad_field", "map.k: is an integer, must be a string" },
    { &optional, "{\"map\":{\"k\\n\":\"123456\"}}", "bad_field",
      "map.k : 6 bytes long, at most 5 allowed" },
    { &optional, "{\"table\":[\"x\"]}", "bad_field",
      "table[0]: is a string, must be an array of strings" },
    { &optional, "{\"table\":[[\"a\"],5]}", "bad_field",
      "table[1]: is an integer, must be an array of strings" },
    { &optional, "{\"table\":[[\"a\"],[]]}", "bad_field",
      "table[1]: 0 cells, but the first row has 1" },
    { &optional, "{\"table\":[[],[\"a\"],[]]}", "bad_field",
      "table[1]: 1 cells, but the first row has 0" },
    { &optional, "{\"table\":[[\"a\",\"b\"],[\"c\",null]]}", "bad_field",
      "table[1][1]: is null, must be a string" },
    { &optional, "{\"table\":[[\"a\",\"123456\"]]}", "bad_field",
      "table[0][1]: 6 bytes long, at most 5 allowed" },
};

static void what_is_wrong_is_refused_in_words(void **state)
{
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const struct refusal *refusal = &refusals[i];
        struct all all;
        struct all before;
        struct err err = { 0 };
        memset(&all, 0x5a, sizeof(all));
        memset(&before, 0x5a, sizeof(before));
        if (read_bytes(*state, refusal->shape, refusal->body, strlen(refusal->body), &all, &err)) {
            fail_msg("accepted: %s", refusal->body);
        }
        if (err.kind != ERR_PERMANENT || strcmp(err.what, refusal->what) != 0 ||
            strcmp(err.detail, refusal->detail) != 0) {
            fail_msg("%s: kind %d, %s: %s", refusal->body, (int)err.kind, err.what, err.detail);
        }
        assert_memory_equal(&all, &before, sizeof(all)); /* untouched */
    }
}

static void a_nul_byte_in_the_body_is_refused(void **state)
{
    struct all all;
    struct err err;

    assert_false(read_bytes(*state, &optional, "{\"text\":\"a\0b\"}", 14, &all, &err));
    assert_string_equal(err.what, "bad_json");
    assert_false(read_bytes(*state, &optional, "{}\0", 3, &all, &err));
    assert_string_equal(err.what, "bad_json");
}

static void the_length_counts_not_a_nul(void **state)
{
    struct all all;
    struct err err;

    assert_true(read_bytes(*state, &optional, "{}garbage", 2, &all, &err));
}

static void deep_nesting_is_refused_not_suffered(void **state)
{
    static char body[200000];
    struct all all;
    struct err err;

    memset(body, '[', sizeof(body));
    assert_false(read_bytes(*state, &optional, body, sizeof(body), &all, &err));
    assert_string_equal(err.what, "bad_json");
}

static void a_wide_first_row_costs_nothing(void **state)
{
    static const struct field fields[] = {
        FIELD_TABLE(struct all, table, 100000, 5),
        FIELD_END,
    };
    static const struct shape shape = { "wide", sizeof(struct all), fields };
    struct str body = { 0 };
    struct all all;
    struct err err;

    /* 20,000 rows times 20,000 cells would be 3 GB of pointers. */
    str_puts(&body, "{\"table\":[[\"\"");
    for (int i = 1; i < 20000; i++) {
        str_puts(&body, ",\"\"");
    }
    str_puts(&body, "]");
    for (int i = 1; i < 20000; i++) {
        str_puts(&body, ",[]");
    }
    str_puts(&body, "]}");
    assert_false(read_bytes(*state, &shape, body.bytes, body.len, &all, &err));
    assert_string_equal(err.detail, "table[1]: 0 cells, but the first row has 20000");
    assert_true(arena_used(*state) < 10000);
    str_free(&body);
}

static void a_long_path_is_cut(void **state)
{
    struct str body = { 0 };
    struct all all;
    struct err err;

    str_puts(&body, "{\"map\":{\"");
    for (int i = 0; i < 100; i++) {
        str_puts(&body, "key-of-a-map");
    }
    str_puts(&body, "\":1}}");
    assert_false(read_bytes(*state, &optional, body.bytes, body.len, &all, &err));
    assert_string_equal(err.detail, "map.key-of-a-mapkey-of-a-mapkey-of-a-mapkey-: is an integer, "
                                    "must be a string");
    str_free(&body);
}

static void strings_are_escaped(void **state)
{
    static const struct {
        const char *text;
        const char *json;
    } cases[] = {
        { "", "\"\"" },
        { "plain", "\"plain\"" },
        { "long enough for two words of eight", "\"long enough for two words of eight\"" },
        { "\"", "\"\\\"\"" },
        { "1234567\"", "\"1234567\\\"\"" },
        { "12345678\\9", "\"12345678\\\\9\"" },
        { "a\b\t\n\f\rz", "\"a\\b\\t\\n\\f\\rz\"" },
        { "\x01\x1f\x7f", "\"\\u0001\\u001f\x7f\"" },
        { "/<>&'", "\"/<>&'\"" },
        { "Gr\xc3\xbc\xc3\x9f"
          "e an alle",
          "\"Gr\xc3\xbc\xc3\x9f"
          "e an alle\"" },
        { "\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\"" },
        { "bad\xff", "\"bad\xef\xbf\xbd\"" },
        { "cut\xe2\x82", "\"cut\xef\xbf\xbd\xef\xbf\xbd\"" },
        { "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
        { "\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
    };
    struct str out = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t len = strlen(cases[i].text);
        char *copy = malloc(len > 0 ? len : 1);
        memcpy(copy, cases[i].text, len);
        str_reset(&out);
        json_put_string(&out, copy, len);
        free(copy);
        assert_string_equal(out.bytes, cases[i].json);
        assert_int_equal(out.len, strlen(cases[i].json));
    }
    str_reset(&out);
    json_put_string(&out, "a\0b", 3);
    assert_string_equal(out.bytes, "\"a\\u0000b\"");
    str_free(&out);
}

/* Every character in every place of a text of 20, so that no position of the fast path is missed.
 */
static void every_character_survives_in_every_place(void **state)
{
    static const struct field fields[] = {
        FIELD_STR(struct all, text, 0, 100),
        FIELD_END,
    };
    static const struct shape shape = { "text", sizeof(struct all), fields };
    struct str out = { 0 };
    char text[24];

    for (uint32_t code = 1; code < 0x180; code++) {
        for (size_t place = 0; place < 20; place++) {
            struct all in = { .text = text };
            struct all back;
            size_t len = 0;
            memset(text, 'x', place);
            len = place;
            if (code < 0x80) {
                text[len++] = (char)code;
            } else {
                text[len++] = (char)(0xc0 | code >> 6);
                text[len++] = (char)(0x80 | (code & 0x3f));
            }
            memset(text + len, 'y', 20 - place);
            text[len + 20 - place] = '\0';
            str_reset(&out);
            shape_write(&shape, &in, &out);
            read_full(*state, &shape, out.bytes, &back);
            assert_string_equal(back.text, text);
        }
        arena_reset(*state);
    }
    str_free(&out);
}

static void null_texts_are_written_empty(void **state)
{
    const char *items[] = { "a", NULL };
    struct all all = { .strings = { 2, items } };

    (void)state;
    assert_writes(&optional, &all, "{\"strings\":[\"a\",\"\"]}");
}

static void an_enum_that_has_no_word_panics(void **state)
{
    struct str out = { 0 };
    int status;
    pid_t pid = fork();

    (void)state;
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGABRT, SIG_DFL); /* cmocka's handler would report a failed test */
        close(STDERR_FILENO);
        shape_write(&required, &(struct all){ .color = 2 }, &out);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(every_type_is_read),
        test(what_is_written_is_what_was_read),
        test(white_space_order_and_unknown_fields_do_not_matter),
        test(absent_and_null_optional_fields_are_zero),
        test(zero_optional_fields_are_left_out),
        test(zero_required_fields_are_written),
        test(empty_collections_are_read),
        test(what_is_wrong_is_refused_in_words),
        test(a_nul_byte_in_the_body_is_refused),
        test(the_length_counts_not_a_nul),
        test(deep_nesting_is_refused_not_suffered),
        test(a_wide_first_row_costs_nothing),
        test(a_long_path_is_cut),
        test(strings_are_escaped),
        test(every_character_survives_in_every_place),
        test(null_texts_are_written_empty),
        test(an_enum_that_has_no_word_panics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
