/*
 * connection - the link to PostgreSQL: opening it, waiting on it, giving it up
 *
 * libpq runs in non-blocking mode and every wait is a poll() with a deadline, so that no call
 * hangs on a dead server or network. The server's statement_timeout comes first; our own limit, a
 * little later, is for a server that does not answer at all. After that, or any other failure that
 * leaves the protocol's state unsure, the connection is closed: conn is NULL until db_reconnect().
 *
 * One wait is not ours: getaddrinfo() inside PQconnectStartParams(). Use an address or a local
 * resolver.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/panic.h"
#include "internal.h"

#define CONNECT_MS 5000
#define TIMEOUT_MS 30000 /* until db_set_timeout() says otherwise */
#define GRACE_MS 2000    /* how much later than the server we give up */

static void ignore_notice(void *context, const PGresult *result)
{
    (void)context;
    (void)result;
}

static char *copy_text(const char *text)
{
    char *copy = strdup(text);

    if (copy == NULL) {
        panic("out of memory");
    }
    return copy;
}

/* The first line of libpq's message: the rest repeats or hints. */
static int first_line(const char *message)
{
    return (int)strcspn(message, "\n");
}

bool pg_link_up(const struct db *db, struct err *err)
{
    if (db->conn == NULL) {
        return err_temporary(err, "pg_connection_lost", "no connection to the database");
    }
    return true;
}

void pg_link_drop(struct db *db)
{
    PQfinish(db->conn);
    db->conn = NULL;
    db->copying = false;
    str_reset(&db->copy);
    pg_forget_prepared(db);
}

bool pg_link_lost(struct db *db, struct err *err)
{
    const char *message = PQerrorMessage(db->conn);

    err_temporary(err, "pg_connection_lost", "%.*s", first_line(message), message);
    pg_link_drop(db);
    return false;
}

static bool link_timed_out(struct db *db, struct err *err)
{
    err_temporary(err, "pg_no_answer", "the database did not answer in time");
    pg_link_drop(db);
    return false;
}

int64_t pg_link_deadline(const struct db *db)
{
    return clock_mono_ms() + db->timeout_ms + GRACE_MS;
}

/* True when the socket is ready for one of the events; false when the deadline passed. */
static bool await_socket(PGconn *conn, short events, int64_t deadline_ms)
{
    struct pollfd poller = { .fd = PQsocket(conn), .events = events };

    for (;;) {
        int64_t left_ms = deadline_ms - clock_mono_ms();
        int ready;

        if (left_ms < 0) {
            return false;
        }
        ready = poll(&poller, 1, left_ms > INT32_MAX ? INT32_MAX : (int)left_ms + 1);
        if (ready > 0) {
            return true;
        }
        if (ready < 0 && errno != EINTR && errno != EAGAIN) {
            panic("poll: errno %d", errno);
        }
    }
}

bool pg_link_flush(struct db *db, int64_t deadline_ms, struct err *err)
{
    for (;;) {
        int left = PQflush(db->conn);

        if (left == 0) {
            return true;
        }
        if (left < 0) {
            return pg_link_lost(db, err);
        }
        if (!await_socket(db->conn, POLLIN | POLLOUT, deadline_ms)) {
            return link_timed_out(db, err);
        }
        /* A server that is busy answering does not read: take what it says. */
        if (PQconsumeInput(db->conn) == 0) {
            return pg_link_lost(db, err);
        }
    }
}

bool pg_link_next(struct db *db, int64_t deadline_ms, PGresult **out_result, struct err *err)
{
    if (!pg_link_flush(db, deadline_ms, err)) {
        return false;
    }
    while (PQisBusy(db->conn)) {
        if (!await_socket(db->conn, POLLIN, deadline_ms)) {
            return link_timed_out(db, err);
        }
        if (PQconsumeInput(db->conn) == 0) {
            return pg_link_lost(db, err);
        }
    }
    *out_result = PQgetResult(db->conn);
    return true;
}

/*
 * jit: what is compiled for a statement costs more than any statement of ours takes.
 * By key: a prepared statement's plan may be made while its table is empty or just filled, when
 * scanning it looks cheap, and is then kept. With scans and the joins that need them priced out,
 * the plan is the index whatever the statistics say.
 */
#define OPTIONS_ALWAYS "-c client_min_messages=warning -c jit=off"
#define OPTIONS_BY_KEY " -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"

#define SETTINGS_MAX 64

struct settings {
    const char *keys[SETTINGS_MAX + 1];
    const char *values[SETTINGS_MAX + 1];
    int count;
};

static void add_setting(struct settings *settings, const char *key, const char *value)
{
    if (settings->count == SETTINGS_MAX) {
        panic("too many connection settings");
    }
    settings->keys[settings->count] = key;
    settings->values[settings->count++] = value;
}

/* What the url leaves open. Later entries of the same key win in libpq, so these come first. */
static void add_defaults(struct settings *settings)
{
    add_setting(settings, "keepalives_idle", "10");
    add_setting(settings, "keepalives_interval", "5");
    add_setting(settings, "keepalives_count", "3");
    add_setting(settings, "tcp_user_timeout", "15000");
}

/* Connects within CONNECT_MS; what is left to do after PQconnectStartParams(). */
static bool finish_connecting(PGconn *conn, struct err *err)
{
    int64_t deadline_ms = clock_mono_ms() + CONNECT_MS;
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    const char *message;

    while (PQstatus(conn) != CONNECTION_BAD && next != PGRES_POLLING_FAILED) {
        short events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT;

        if (next == PGRES_POLLING_OK) {
            return true;
        }
        if (!await_socket(conn, events, deadline_ms)) {
            return err_temporary(err, "pg_connect_failed", "no connection within %d ms",
                                 CONNECT_MS);
        }
        next = PQconnectPoll(conn);
    }
    message = PQerrorMessage(conn);
    return err_temporary(err, "pg_connect_failed", "%.*s", first_line(message), message);
}

static bool connect_with(struct db *db, const PQconninfoOption *given, struct err *err)
{
    struct settings settings = { .count = 0 };
    struct str options = { 0 };

    str_printf(&options, OPTIONS_ALWAYS "%s -c statement_timeout=%lld",
               db->by_key ? OPTIONS_BY_KEY : "", (long long)db->timeout_ms);
    add_defaults(&settings);
    for (; given->keyword != NULL; given++) {
        if (given->val == NULL) {
            continue;
        }
        if (strcmp(given->keyword, "options") == 0) {
            str_printf(&options, " %s", given->val);
        } else {
            add_setting(&settings, given->keyword, given->val);
        }
    }
    add_setting(&settings, "options", options.bytes);
    add_setting(&settings, "application_name", db->name);
    add_setting(&settings, "client_encoding", "UTF8");

    db->conn = PQconnectStartParams(settings.keys, settings.values, 0);
    str_free(&options);
    if (db->conn == NULL) {
        panic("out of memory");
    }
    PQsetNoticeReceiver(db->conn, ignore_notice, NULL);
    if (!finish_connecting(db->conn, err)) {
        pg_link_drop(db);
        return false;
    }
    if (PQsetnonblocking(db->conn, 1) != 0) {
        return pg_link_lost(db, err);
    }
    return true;
}

bool db_reconnect(struct db *db, struct err *err)
{
    /* What it says about a bad url quotes it, password and all: not for a log. */
    PQconninfoOption *given = PQconninfoParse(db->url, NULL);
    bool ok;

    pg_link_drop(db);
    if (given == NULL) {
        return err_permanent(err, "pg_bad_url", "not a PostgreSQL connection string");
    }
    ok = connect_with(db, given, err);
    PQconninfoFree(given);
    return ok;
}

static bool open_as(const char *url, const char *name, bool by_key, struct db **out_db,
                    struct err *err)
{
    struct db *db = calloc(1, sizeof(*db));

    if (db == NULL) {
        panic("out of memory");
    }
    db->url = copy_text(url);
    db->name = copy_text(name);
    db->by_key = by_key;
    db->timeout_ms = TIMEOUT_MS;
    if (!db_reconnect(db, err)) {
        db_close(db);
        return false;
    }
    *out_db = db;
    return true;
}

bool db_open(const char *url, const char *name, struct db **out_db, struct err *err)
{
    return open_as(url, name, false, out_db, err);
}

bool db_open_by_key(const char *url, const char *name, struct db **out_db, struct err *err)
{
    return open_as(url, name, true, out_db, err);
}

void db_close(struct db *db)
{
    if (db == NULL) {
        return;
    }
    pg_link_drop(db);
    free(db->prepared);
    str_free(&db->params);
    str_free(&db->copy);
    free(db->url);
    free(db->name);
    free(db);
}

bool db_is_down(const struct db *db)
{
    struct pollfd poller = { .events = POLLRDHUP };

    if (db->conn == NULL) {
        return true;
    }
    /* Also when the server went away while nobody asked it anything. */
    poller.fd = PQsocket(db->conn);
    return poll(&poller, 1, 0) > 0;
}

bool db_set_timeout(struct db *db, int64_t timeout_ms, struct err *err)
{
    char sql[64];
    int64_t before_ms = db->timeout_ms;

    if (timeout_ms < 1 || timeout_ms > INT32_MAX) {
        panic("db_set_timeout: %lld ms", (long long)timeout_ms);
    }
    snprintf(sql, sizeof(sql), "SET statement_timeout = %lld", (long long)timeout_ms);
    db->timeout_ms = timeout_ms; /* a reconnect starts with it, too */
    if (!pg_run_text(db, "set_timeout", sql, err)) {
        db->timeout_ms = before_ms;
        return false;
    }
    return true;
}

const char *db_constraint(const struct db *db)
{
    return db->constraint;
}
