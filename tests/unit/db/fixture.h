/*
 * fixture - one PostgreSQL per test program, one connection per test
 */
#ifndef UNIT_DB_FIXTURE_H
#define UNIT_DB_FIXTURE_H

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "db/db.h"
#include "servers.h"

static inline int start_server(void **state)
{
    (void)state;
    servers_start("postgres");
    return 0;
}

static inline int stop_server(void **state)
{
    (void)state;
    servers_stop();
    return 0;
}

static inline struct db *open_db(void)
{
    struct db *db;
    struct err err;

    if (!db_open(servers_get("DATABASE_URL"), "test", &db, &err)) {
        fail_msg("%s: %s", err.what, err.detail);
    }
    return db;
}

static inline int open_state(void **state)
{
    *state = open_db();
    return 0;
}

static inline int close_state(void **state)
{
    db_close(*state);
    return 0;
}

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

static inline void script(struct db *db, const char *sql)
{
    struct err err;

    assert_ok(db_script(db, sql, &err));
}

#endif
