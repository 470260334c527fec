/* lib/audio/asset.h: rows and files belong together, whoever adds and removes at once */
#include "audio/asset.h"
#include "base/clock.h"
#include "migrated.h"
#include "sounds.h"

#define NOW INT64_C(1795000000000)

static struct arena *arena;
static struct str tone;

static int start(void **state)
{
    arena = arena_create(8 << 20);
    if (folder_start(state) != 0) {
        return -1;
    }
    const char *path = make_sound("tone.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 8000, 1, 400);
    tone = bytes_of(path);
    unlink(path);
    return migrated_start(state);
}

static int stop(void **state)
{
    str_free(&tone);
    arena_destroy(arena);
    return folder_stop(state) | migrated_stop(state);
}

static bool try_add(struct db *db, int64_t account, const struct str *bytes, const char *name,
                    struct audio_asset *out, bool *out_is_new, struct err *err)
{
    struct audio_upload *upload = audio_upload_begin(folder, arena, err);
    const struct audio_file *file;

    assert_non_null(upload);
    bool ok = audio_upload_add(upload, bytes->bytes, bytes->len, err) &&
              audio_upload_end(upload, &file, err) &&
              audio_asset_add(db, account, upload, file, name, NOW, arena, out, out_is_new, err);
    audio_upload_free(upload);
    return ok;
}

static struct audio_asset add(struct db *db, int64_t account, const char *name, bool is_new)
{
    struct audio_asset asset;
    struct err err;
    bool found_new;

    assert_ok(try_add(db, account, &tone, name, &asset, &found_new, &err));
    assert_int_equal(found_new, is_new);
    return asset;
}

static void an_account_has_a_file_once(void **state)
{
    struct db *db = *state;
    struct audio_asset first = add(db, 1, "C:\\sounds\\fees.wav", true);
    struct audio_asset again = add(db, 1, "other.wav", false);
    struct audio_asset found;
    struct err err;

    assert_true(first.id == again.id);
    assert_string_equal(again.name, "fees.wav");
    assert_ok(audio_asset_find(db, 1, first.id, arena, &found, &err));
    assert_int_equal(found.account, 1);
    assert_int_equal(found.facts.kind, AUDIO_WAV);
    assert_int_equal(found.facts.duration_ms, 400);
    assert_int_equal(found.facts.sample_rate, 8000);
    assert_int_equal(found.facts.channels, 1);
    assert_int_equal(found.bytes, tone.len);
    assert_true(found.created_ms == NOW);
    assert_string_equal(found.sha256, first.sha256);
    assert_int_equal(count_files(first.sha256), 1);
    assert_fails(audio_asset_find(db, 2, first.id, arena, &found, &err), ERR_PERMANENT,
                 "audio_unknown");
    assert_ok(audio_asset_find(db, 0, first.id, arena, &found, &err));
    assert_ok(audio_asset_remove(db, folder, 1, first.id, arena, &err));
    assert_int_equal(count_files(""), 0);
}

static void a_file_goes_with_its_last_row(void **state)
{
    struct db *db = *state;
    struct audio_asset mine = add(db, 1, "a.wav", true);
    struct audio_asset theirs = add(db, 2, "b.wav", true);
    int64_t others;
    struct err err;

    assert_ok(audio_asset_others(db, 1, mine.sha256, &others, &err));
    assert_int_equal(others, 0);
    assert_ok(audio_asset_others(db, 1, "00", &others, &err));
    assert_int_equal(others, tone.len);
    assert_string_equal(mine.sha256, theirs.sha256);
    assert_int_equal(count_files(""), 1);
    assert_fails(audio_asset_remove(db, folder, 2, mine.id, arena, &err), ERR_PERMANENT,
                 "audio_unknown");
    assert_ok(audio_asset_remove(db, folder, 1, mine.id, arena, &err));
    assert_int_equal(count_files(mine.sha256), 1);
    assert_fails(audio_asset_remove(db, folder, 1, mine.id, arena, &err), ERR_PERMANENT,
                 "audio_unknown");
    assert_ok(audio_asset_remove(db, folder, 2, theirs.id, arena, &err));
    assert_int_equal(count_files(""), 0);
}

static void one_in_use_stays(void **state)
{
    struct db *db = *state;
    struct audio_asset asset = add(db, 1, "a.wav", true);
    char sql[200];
    struct err err;

    script(db, "CREATE TABLE users_of_audio (asset bigint REFERENCES audio_assets)");
    snprintf(sql, sizeof sql, "INSERT INTO users_of_audio VALUES (%lld)", (long long)asset.id);
    script(db, sql);
    assert_fails(audio_asset_remove(db, folder, 1, asset.id, arena, &err), ERR_PERMANENT,
                 "audio_in_use");
    assert_int_equal(count_files(asset.sha256), 1);
    assert_int_equal(number_of(db, "SELECT count(*) FROM audio_assets"), 1);
    script(db, "DROP TABLE users_of_audio");
    assert_ok(audio_asset_remove(db, folder, 1, asset.id, arena, &err));
}

/* A removal whose row is gone waits for an adding of the same file, and then leaves the file. */
static void adding_and_removing_take_turns(void **state)
{
    struct db *db = *state;
    struct db *other = migrated_db();
    struct audio_asset asset = add(db, 1, "a.wav", true);
    char sql[300];
    struct err err;

    /* Another has the lock, as audio_asset_add() does while it links and inserts. */
    assert_ok(db_begin(other, &err));
    snprintf(sql, sizeof sql,
             "SELECT pg_advisory_xact_lock(('x' || left('%s', 16))::bit(64)::bigint)",
             asset.sha256);
    script(other, sql);
    assert_ok(db_set_timeout(db, 300, &err));
    assert_false(audio_asset_remove(db, folder, 1, asset.id, arena, &err));
    assert_int_equal(err.kind, ERR_TEMPORARY);
    assert_int_equal(count_files(asset.sha256), 1);
    db_rollback(other);
    db_close(other);
    assert_ok(db_set_timeout(db, 30000, &err));
    asset = add(db, 2, "b.wav", true);
    assert_ok(audio_asset_remove(db, folder, 2, asset.id, arena, &err));
    assert_int_equal(count_files(""), 0);
}

static void they_are_listed_page_by_page(void **state)
{
    struct db *db = *state;
    struct audio_asset *list, made[3];
    struct str other = { 0 };
    struct err err;
    size_t count;
    bool is_new;

    for (size_t i = 0; i < 3; i++) {
        str_reset(&other);
        str_append(&other, tone.bytes, tone.len);
        other.bytes[100] = (char)i; /* another sample */
        assert_ok(try_add(db, 1, &other, "tone", &made[i], &is_new, &err));
        assert_true(is_new);
        script(db, "SELECT pg_sleep(0.002)");
        char sql[200];
        snprintf(sql, sizeof sql, "UPDATE audio_assets SET id = %zu WHERE id = %lld", i + 1,
                 (long long)made[i].id); /* born in one millisecond, they have no order */
        script(db, sql);
    }
    (void)add(db, 2, "theirs", true);
    assert_ok(audio_asset_list(db, 1, 0, 2, arena, &list, &count, &err));
    assert_int_equal(count, 2);
    assert_int_equal(list[0].id, 3);
    assert_int_equal(list[1].id, 2);
    assert_ok(audio_asset_list(db, 1, 2, 2, arena, &list, &count, &err));
    assert_int_equal(count, 1);
    assert_string_equal(list[0].sha256, made[0].sha256);
    str_free(&other);
}

static void names_are_cleaned(void **state)
{
    static const struct {
        const char *sent, *kept;
    } names[] = {
        { "fees.wav", "fees.wav" },
        { "../../etc/passwd", "passwd" },
        { "C:\\Users\\me\\fees.wav", "fees.wav" },
        { "/", "audio.wav" },
        { "..", "audio.wav" },
        { ".hidden", "hidden" },
        { "", "audio.wav" },
        { "  a b \r\n", "a b" },
        { "a\x01\x7F\r\nSet-Cookie: x", "aSet-Cookie: x" },
        { "Karibu \xC3\xA9l\xC3\xA8ve.wav", "Karibu \xC3\xA9l\xC3\xA8ve.wav" },
        { "bad\xFF\xC3.wav", "bad.wav" },
        { "evil\xE2\x80\xAE"
          "vaw.exe",
          "evilvaw.exe" },
        { "c\xC2\x85"
          "d",
          "cd" },
    };
    char longer[300];

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_string_equal(audio_name_clean(names[i].sent, AUDIO_WAV, arena), names[i].kept);
    }
    assert_string_equal(audio_name_clean("/", AUDIO_MP3, arena), "audio.mp3");
    memset(longer, 'a', sizeof longer);
    memcpy(longer + 99, "\xC3\xA9", 2); /* would end behind the hundredth byte */
    longer[200] = '\0';
    assert_int_equal(strlen(audio_name_clean(longer, AUDIO_WAV, arena)), 99);
    longer[150] = '/';
    assert_int_equal(strlen(audio_name_clean(longer, AUDIO_WAV, arena)), 49);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MIGRATED(an_account_has_a_file_once),
        MIGRATED(a_file_goes_with_its_last_row),
        MIGRATED(one_in_use_stays),
        MIGRATED(adding_and_removing_take_turns),
        MIGRATED(they_are_listed_page_by_page),
        cmocka_unit_test(names_are_cleaned),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
