/* lib/audio/address.h: an address is good as it was given, until it expires, and for one file */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <string.h>

#include "audio/address.h"
#include "base/id.h"

#define NOW INT64_C(1795000000000)
#define SECRET "0123456789abcdef0123456789abcdef"

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

static struct arena *arena;

static int start(void **state)
{
    (void)state;
    arena = arena_create(1 << 20);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

static const char *check(const char *secret, const char *path, int64_t now_ms, int64_t *out_id,
                         enum audio_kind *out_kind)
{
    const char *slash = strrchr(path, '/');
    struct err err;

    assert_memory_equal(path, "media/", 6);
    const char *id = arena_strndup(arena, path + 6, (size_t)(slash - path - 6));
    if (audio_check(secret, id, slash + 1, now_ms, out_id, out_kind, &err)) {
        return "";
    }
    assert_int_equal(err.kind, ERR_PERMANENT);
    return err.what;
}

static void an_address_is_good_until_it_expires(void **state)
{
    const int64_t id = id_create(NOW);
    enum audio_kind kind = AUDIO_WAV;
    int64_t found = 0;
    const char *path = audio_sign(SECRET, id, AUDIO_MP3, NOW + 60000, arena);

    (void)state;
    assert_non_null(strstr(path, "/1795000060."));
    assert_string_equal(path + strlen(path) - 4, ".mp3");
    assert_string_equal(check(SECRET, path, NOW, &found, &kind), "");
    assert_true(found == id);
    assert_int_equal(kind, AUDIO_MP3);
    assert_string_equal(check(SECRET, path, NOW + 59999, &found, &kind), "");
    assert_string_equal(check(SECRET, path, NOW + 60000, &found, &kind), "address_expired");
}

static void the_mac_is_the_one_that_is_written_down(void **state)
{
    (void)state;
    assert_string_equal(audio_sign(SECRET, INT64_C(123456789), AUDIO_WAV, NOW, arena),
                        "media/aud_00000003NQK8N/1795000000."
                        "911d260f7c5689e4784790d38f907a3c96fde6f13cbd786fbdf22a99b5107560.wav");
}

/* Each character of it changed to another, in turn. */
static void an_address_that_was_changed_is_wrong(void **state)
{
    const char *path = audio_sign(SECRET, id_create(NOW), AUDIO_WAV, NOW + 60000, arena);
    enum audio_kind kind;
    int64_t id;

    (void)state;
    for (size_t i = strlen("media/aud_"); path[i] != '\0'; i++) {
        char *changed = arena_strdup(arena, path);
        if (changed[i] == '/') {
            continue;
        }
        changed[i] = changed[i] == '1' ? '2' : '1';
        assert_string_equal(check(SECRET, changed, NOW, &id, &kind), "address_wrong");
    }
    assert_string_equal(check("another secret of thirty-two bytes", path, NOW, &id, &kind),
                        "address_wrong");
}

static void nonsense_is_wrong(void **state)
{
    static const char *const tails[] = {
        "",
        ".",
        "..",
        "1.2.wav",
        "1795000060",
        "1795000060.",
        "-1795000060.a.wav",
        "99999999999999999999999." ZEROS ".wav",
        "1795000060." ZEROS,
        "1795000060." ZEROS ".",
        "1795000060." ZEROS ".exe",
        "1795000060.0" ZEROS ".wav",
    };
    char text[ID_TEXT_BYTES];
    enum audio_kind kind;
    struct err err;
    int64_t id;

    (void)state;
    id_format("aud", id_create(NOW), text);
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        assert_false(audio_check(SECRET, text, tails[i], NOW, &id, &kind, &err));
        assert_string_equal(err.what, "address_wrong");
    }
    assert_false(audio_check(SECRET, "", "1795000060." ZEROS ".wav", NOW, &id, &kind, &err));
    assert_false(
        audio_check(SECRET, "../../etc/passwd", "1795000060." ZEROS ".wav", NOW, &id, &kind, &err));
}

static void a_short_secret_is_refused(void **state)
{
    struct err err;

    (void)state;
    assert_true(audio_secret_check(SECRET, &err));
    assert_false(audio_secret_check(&SECRET[1], &err));
    assert_string_equal(err.what, "bad_secret");
}

static const char *fail_url(const char *public_url, const char *secret)
{
    struct err err;

    assert_null(audio_url(public_url, secret, 1, AUDIO_WAV, NOW, arena, &err));
    assert_int_equal(err.kind, ERR_PERMANENT);
    return err.what;
}

static void a_whole_address_begins_with_ours(void **state)
{
    const int64_t id = id_create(NOW);
    const char *path = audio_sign(SECRET, id, AUDIO_WAV, NOW, arena);
    const char *wanted = arena_printf(arena, "https://tuma.example/x/%s", path);
    struct err err;

    (void)state;
    for (int i = 0; i < 3; i++) {
        const char *slashes = &"//"[2 - i];
        const char *base = arena_printf(arena, "https://tuma.example/x%s", slashes);
        assert_string_equal(audio_url(base, SECRET, id, AUDIO_WAV, NOW, arena, &err), wanted);
    }
    assert_string_equal(fail_url("", SECRET), "no_public_url");
    assert_string_equal(fail_url("/", SECRET), "no_public_url");
    assert_string_equal(fail_url("https://tuma.example", ""), "no_media_secret");
    assert_string_equal(fail_url("https://tuma.example", &SECRET[1]), "no_media_secret");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_good_until_it_expires),
        cmocka_unit_test(the_mac_is_the_one_that_is_written_down),
        cmocka_unit_test(an_address_that_was_changed_is_wrong),
        cmocka_unit_test(nonsense_is_wrong),
        cmocka_unit_test(a_short_secret_is_refused),
        cmocka_unit_test(a_whole_address_begins_with_ours),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
