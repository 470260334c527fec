/*
 * migrated - one PostgreSQL per test program with the product's tables, emptied before each test
 *
 *     int main(void) { … return cmocka_run_group_tests(tests, migrated_start, migrated_stop); }
 *     cmocka_unit_test_setup_teardown(test, migrated_open, migrated_close)   // *state: struct db *
 *
 * Accounts 1 (acme) and 2 (globex) exist. What does not add up afterwards fails the test.
 */
#ifndef UNIT_LEDGER_MIGRATED_H
#define UNIT_LEDGER_MIGRATED_H

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "db/db.h"
#include "invariants.h"
#include "servers.h"

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if (!(call)) {                                                                             \
            fail_msg("%s: %s", err.what, err.detail);                                              \
        }                                                                                          \
    } while (0)

#define assert_fails(call, wanted_kind, wanted_what)                                               \
    do {                                                                                           \
        assert_false(call);                                                                        \
        assert_string_equal(err.what, wanted_what);                                                \
        assert_int_equal(err.kind, wanted_kind);                                                   \
    } while (0)

__attribute__((unused)) static struct db *migrated_db(void)
{
    struct db *db;
    struct err err;

    assert_ok(db_open(servers_get("DATABASE_URL"), "test", &db, &err));
    return db;
}

__attribute__((unused)) static void script(struct db *db, const char *sql)
{
    struct err err;

    assert_ok(db_script(db, sql, &err));
}

/*
 * The first column of the only row as text, valid until the next call. A connection knows a
 * statement by its address, so each is kept.
 */
__attribute__((unused)) static const char *text_of(struct db *db, const char *sql)
{
    static struct {
        struct db_statement statement;
        char name[30];
        struct str sql;
    } asked[200];
    static unsigned number;
    static char text[4000];
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct err err;

    assert_true(number < sizeof asked / sizeof *asked);
    snprintf(asked[number].name, sizeof asked[number].name, "asked_%u", number);
    str_printf(&asked[number].sql, "SELECT (%s)::text", sql);
    asked[number].statement =
        (struct db_statement){ asked[number].name, asked[number].sql.bytes, 0 };
    assert_ok(db_query(db, &asked[number++].statement, NULL, &found, &err));
    snprintf(text, sizeof text, "%s", db_is_null(found, 0, 0) ? "" : db_get_text(found, 0, 0));
    return db_is_null(found, 0, 0) ? NULL : text;
}

__attribute__((unused)) static int64_t number_of(struct db *db, const char *sql)
{
    const char *text = text_of(db, sql);

    return text != NULL ? strtoll(text, NULL, 10) : -1;
}

static int is_migration(const struct dirent *entry)
{
    const size_t len = strlen(entry->d_name);

    return len > 4 && strcmp(entry->d_name + len - 4, ".sql") == 0;
}

static void run_migration(struct db *db, const char *name)
{
    struct str text = { 0 };
    char path[512], part[4096];
    size_t got;
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", MIGRATIONS_DIR, name);
    file = fopen(path, "re");
    assert_non_null(file);
    while ((got = fread(part, 1, sizeof part, file)) > 0) {
        str_append(&text, part, got);
    }
    fclose(file);
    script(db, text.bytes);
    str_free(&text);
}

static int migrated_start(void **state)
{
    struct dirent **entries;
    struct db *db;
    int count;

    (void)state;
    setenv("PG_SETTINGS", "fsync = off", 0); /* nothing is unplugged here */
    servers_start("postgres");
    db = migrated_db();
    count = scandir(MIGRATIONS_DIR, &entries, is_migration, alphasort);
    assert_true(count > 0);
    for (int i = 0; i < count; i++) {
        run_migration(db, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    db_close(db);
    return 0;
}

static int migrated_stop(void **state)
{
    (void)state;
    servers_stop();
    return 0;
}

static int migrated_open(void **state)
{
    struct db *db = migrated_db();

    script(db, "ALTER TABLE ledger_entries DISABLE TRIGGER ledger_entries_frozen;"
               "TRUNCATE accounts CASCADE; TRUNCATE recipients, batches, campaign_rejects,"
               " calls, call_keys;"
               "ALTER TABLE ledger_entries ENABLE TRIGGER ledger_entries_frozen;"
               "INSERT INTO accounts (id, slug, name, email) VALUES"
               "    (1, 'acme', 'Acme', 'acme@example.com'),"
               "    (2, 'globex', 'Globex', 'globex@example.com')");
    *state = db;
    return 0;
}

static int migrated_close(void **state)
{
    const char *faults = text_of(*state, invariants_sql);

    if (faults != NULL) {
        fail_msg("%s", faults);
    }
    db_close(*state);
    return 0;
}

#define MIGRATED(test) cmocka_unit_test_setup_teardown(test, migrated_open, migrated_close)

#endif
