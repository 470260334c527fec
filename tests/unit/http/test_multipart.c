/* lib/http/multipart.h: forms as browsers, curl and careless clients make them, cut everywhere */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <string.h>

#include "base/str.h"
#include "http/multipart.h"

#define TYPE "multipart/form-data; boundary=b0und"
#define MARK "--b0und"
#define FILE_HEAD "Content-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n"

static struct arena *arena;

static int start(void **state)
{
    (void)state;
    arena = arena_create((size_t)16 << 20);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

/* "[name|filename|type]bytes", of each part. */
static bool on_part(void *context, const struct http_part *part, struct err *err)
{
    struct str *seen = context;

    if (strcmp(part->name, "refuse") == 0) {
        return err_permanent(err, "refused", "by the caller");
    }
    str_printf(seen, "[%s|%s|%s]", part->name, part->filename != NULL ? part->filename : "-",
               part->type);
    return true;
}

static bool on_bytes(void *context, const char *bytes, size_t len, struct err *err)
{
    (void)err;
    str_append(context, bytes, len);
    return true;
}

static const struct http_form_events events = { .part = on_part, .bytes = on_bytes };

/* What was seen, in pieces of this size; the error's word when there is one. */
static const char *read_cut(const char *type, const char *body, size_t len, size_t size,
                            struct str *seen)
{
    static struct err err;
    struct http_multipart *form = http_multipart_begin(type, &events, seen, arena, &err);

    str_reset(seen);
    str_puts(seen, "");
    if (form == NULL) {
        return err.what;
    }
    for (size_t at = 0; at < len; at += size) {
        if (!http_multipart_add(form, body + at, size < len - at ? size : len - at, &err)) {
            return err.what;
        }
    }
    return http_multipart_end(form, &err) ? NULL : err.what;
}

static void check_type(const char *type, const char *body, const char *wanted)
{
    struct str seen = { 0 };

    for (size_t size = 1; size <= strlen(body); size++) {
        const char *what = read_cut(type, body, strlen(body), size, &seen);
        assert_null(what);
        assert_string_equal(seen.bytes, wanted);
    }
    str_free(&seen);
}

static void check(const char *body, const char *wanted)
{
    check_type(TYPE, body, wanted);
}

static void refuse(const char *type, const char *body)
{
    struct str seen = { 0 };

    for (size_t size = 1; size <= strlen(body) + 1; size++) {
        const char *what = read_cut(type, body, strlen(body), size, &seen);
        assert_non_null(what);
        assert_string_equal(what, "bad_multipart");
    }
    str_free(&seen);
}

static void parts_come_one_by_one(void **state)
{
    (void)state;
    check(MARK "\r\n" FILE_HEAD "Content-Type: audio/wav\r\n\r\nsound\r\n" MARK
               "\r\nContent-Disposition: form-data; name=name\r\n\r\nA name\r\n" MARK "--\r\n",
          "[file|a.wav|audio/wav]sound[name|-|]A name");
    check(MARK "\r\n" FILE_HEAD "\r\n\r\n" MARK "--", "[file|a.wav|]");
    check(MARK "--", "");
    check("ignored\r\nbefore\r\n" MARK " \t\r\n" FILE_HEAD "\r\nx\r\n" MARK "--ignored behind",
          "[file|a.wav|]x");
    check_type("multipart/form-data; charset=utf-8; boundary=\"a b'()+_,-./:=?\"",
               "--a b'()+_,-./:=?\r\n" FILE_HEAD "\r\nx\r\n--a b'()+_,-./:=?--", "[file|a.wav|]x");
}

static void what_looks_like_a_delimiter_is_content(void **state)
{
    (void)state;
    check(MARK "\r\n" FILE_HEAD "\r\n\r\r\n\r\n-\r\n--\r\n--b0un\r\n--b0un_" MARK "\n" MARK
               "\r\n" MARK "--",
          "[file|a.wav|]\r\r\n\r\n-\r\n--\r\n--b0un\r\n--b0un_" MARK "\n" MARK);
}

static void heads_are_read_as_they_are_made(void **state)
{
    (void)state;
    check(MARK "\r\ncontent-type:text/plain\r\nX-Other: x\r\n"
               "CONTENT-DISPOSITION:form-data;name=\"a\\\"b\\\\c\";filename=\"C:\\dir\\x.wav\"\r\n"
               "Content-Transfer-Encoding: BINARY\r\n\r\nx\r\n" MARK "--",
          "[a\"b\\c|C:\\dir\\x.wav|text/plain]x");
    check(MARK "\r\nContent-Disposition: form-data; filename=\"; name=\\\"x\\\"\"; name=y\r\n\r\n"
               "\r\n" MARK "--",
          "[y|; name=\"x\"|]");
}

static void what_can_be_read_in_two_ways_is_refused(void **state)
{
    static const char *const bodies[] = {
        "",
        MARK,
        MARK "\r\n",
        MARK "-",
        MARK "-x",
        MARK "x\r\n" FILE_HEAD "\r\nx\r\n" MARK "--",
        MARK "\rx",
        MARK "\n" FILE_HEAD "\r\nx\r\n" MARK "--",
        MARK "\r\n" FILE_HEAD,
        MARK "\r\n" FILE_HEAD "\r\nx",
        MARK "\r\n" FILE_HEAD "\r\nx\r\n" MARK,
        MARK "\r\n" FILE_HEAD "\r\nx" MARK "--",
        MARK "\r\n\r\nx\r\n" MARK "--",
        MARK "\r\nContent-Type: text/plain\r\n\r\nx\r\n" MARK "--",
        MARK "\r\nContent-Disposition: form-data\r\n\r\nx\r\n" MARK "--",
        MARK "\r\nContent-Disposition: attachment; name=x\r\n\r\nx\r\n" MARK "--",
        MARK "\r\nContent-Disposition: form-data-not; name=x\r\n\r\nx\r\n" MARK "--",
        MARK "\r\n" FILE_HEAD FILE_HEAD "\r\nx\r\n" MARK "--",
        MARK "\r\n" FILE_HEAD " folded\r\n\r\nx\r\n" MARK "--",
        MARK "\r\n" FILE_HEAD "no header\r\n\r\nx\r\n" MARK "--",
        MARK "\r\n" FILE_HEAD "Content-Transfer-Encoding: base64\r\n\r\neA==\r\n" MARK "--",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        refuse(TYPE, bodies[i]);
    }
}

static void a_boundary_is_needed(void **state)
{
    static const char ten[] = "0123456789";
    struct str seen = { 0 }, type = { 0 };

    (void)state;
    refuse("multipart/form-data", MARK "--");
    refuse("multipart/form-data; boundary", MARK "--");
    refuse("multipart/form-data; boundary=", "----");
    refuse("multipart/form-data; boundary=\"b0und \"", "--b0und --");
    refuse("multipart/form-data; boundary=\"b0\rnd\"", "--b0\rnd--");
    str_puts(&type, "multipart/form-data; boundary=");
    for (int i = 0; i < 7; i++) {
        str_puts(&type, ten);
    }
    assert_string_equal(read_cut(type.bytes, "", 0, 1, &seen), "bad_multipart"); /* the body's */
    assert_non_null(strstr(type.bytes, "=01"));
    struct str body = { 0 };
    str_printf(&body, "--%s--", strchr(type.bytes, '=') + 1);
    assert_null(read_cut(type.bytes, body.bytes, body.len, 3, &seen));
    str_puts(&type, "x");
    assert_string_equal(read_cut(type.bytes, body.bytes, body.len, 3, &seen), "bad_multipart");
    str_free(&body);
    str_free(&type);
    str_free(&seen);
}

static void there_are_limits(void **state)
{
    struct str seen = { 0 }, body = { 0 };

    (void)state;
    for (int i = 0; i < HTTP_PARTS_MAX; i++) {
        str_puts(&body, MARK "\r\n" FILE_HEAD "\r\n\r\n");
    }
    size_t len = body.len;
    str_puts(&body, MARK "--");
    assert_null(read_cut(TYPE, body.bytes, body.len, 100, &seen));
    body.len = len;
    str_puts(&body, MARK "\r\n" FILE_HEAD "\r\n\r\n" MARK "--");
    assert_string_equal(read_cut(TYPE, body.bytes, body.len, 100, &seen), "bad_multipart");

    for (size_t extra = 0; extra < 2; extra++) { /* a head of just the most, and one byte more */
        static const char start_of[] = FILE_HEAD "X: ";
        str_reset(&body);
        str_puts(&body, MARK "\r\n");
        str_puts(&body, start_of);
        for (size_t i = strlen(start_of) + 4; i < HTTP_PART_HEAD_MAX + extra; i++) {
            str_putc(&body, 'x');
        }
        str_puts(&body, "\r\n\r\n\r\n" MARK "--");
        assert_int_equal(read_cut(TYPE, body.bytes, body.len, 1000, &seen) != NULL, extra);
    }

    str_reset(&body);
    for (int i = 0; i < 2000; i++) {
        str_putc(&body, 'x');
    }
    str_puts(&body, "\r\n" MARK "--");
    assert_string_equal(read_cut(TYPE, body.bytes, body.len, 1000, &seen), "bad_multipart");
    str_free(&body);
    str_free(&seen);
}

static void a_nul_is_content_but_no_head(void **state)
{
    static const char good[] = MARK "\r\n" FILE_HEAD "\r\na\0b\r\n" MARK "--";
    static const char bad[] = MARK "\r\nContent-Disposition: form-data; name=\"a\0b\"\r\n\r\n";
    struct str seen = { 0 };

    (void)state;
    assert_null(read_cut(TYPE, good, sizeof good - 1, 3, &seen));
    assert_int_equal(seen.len, strlen("[file|a.wav|]") + 3);
    assert_memory_equal(seen.bytes + seen.len - 3, "a\0b", 3);
    assert_string_equal(read_cut(TYPE, bad, sizeof bad - 1, 3, &seen), "bad_multipart");
    str_free(&seen);
}

static void the_callers_error_ends_it(void **state)
{
    static const char body[] = MARK "\r\nContent-Disposition: form-data; name=refuse\r\n\r\nx";
    struct str seen = { 0 };

    (void)state;
    assert_string_equal(read_cut(TYPE, body, sizeof body - 1, 7, &seen), "refused");
    str_free(&seen);
}

static void parameters_are_found(void **state)
{
    static const struct {
        const char *value, *name, *wanted;
    } cases[] = {
        { "form-data; name=x", "name", "x" },
        { "form-data;name = x", "name", NULL },
        { "form-data; NAME=\"x;y\" ; b=c", "name", "x;y" },
        { "form-data; NAME=\"x;y\" ; b=c", "b", "c" },
        { "form-data; name=x; name=y", "name", "x" },
        { "form-data; name", "name", NULL },
        { "form-data; name=\"open", "name", "open" },
        { "form-data; name=\"open\\", "name", "open\\" },
        { "form-data; name=\"open\\\"", "name", "open\"" },
        { "form-data; filename=x", "name", NULL },
        { "", "name", NULL },
        { ";;;", "name", NULL },
        { "a; filename*=UTF-8''na%C3%afve%20x.wav; filename=plain", "filename", "naïve x.wav" },
        { "a; filename=plain; filename*=utf-8''%e2%82%ac", "filename", "€" },
        { "a; filename=plain; filename*=ISO-8859-1''%E4", "filename", "plain" },
        { "a; filename=plain; filename*=UTF-8''%E4", "filename", "plain" },
        { "a; filename=plain; filename*=UTF-8''%00", "filename", "plain" },
        { "a; filename=plain; filename*=UTF-8''%4", "filename", "plain" },
        { "a; filename=plain; filename*=UTF-8''%", "filename", "plain" },
        { "a; filename*=UTF-8''%g0", "filename", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *found = http_header_parameter(cases[i].value, cases[i].name, arena);
        if (cases[i].wanted == NULL) {
            assert_null(found);
        } else {
            assert_non_null(found);
            assert_string_equal(found, cases[i].wanted);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_come_one_by_one),
        cmocka_unit_test(what_looks_like_a_delimiter_is_content),
        cmocka_unit_test(heads_are_read_as_they_are_made),
        cmocka_unit_test(what_can_be_read_in_two_ways_is_refused),
        cmocka_unit_test(a_boundary_is_needed),
        cmocka_unit_test(there_are_limits),
        cmocka_unit_test(a_nul_is_content_but_no_head),
        cmocka_unit_test(the_callers_error_ends_it),
        cmocka_unit_test(parameters_are_found),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
