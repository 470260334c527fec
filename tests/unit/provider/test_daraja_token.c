/*
 * M-Pesa's access token on a real database: one request however many want it, and what becomes of
 * the others when that one fails, is slow, or dies.
 */
/* It has cmocka.h, which the others want before them. clang-format would sort it. */
/* clang-format off */
#include "fixture.h"
/* clang-format on */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "child.h"
#include "provider/daraja_token.h"
#include "raw_server.h"

#define CROWD 8
#define DEADLINE_MS 10000
#define HANGS_S 90 /* a process that has not ended by then; the machine may be busy */
#define STEPS_MAX 4

struct world {
    struct db *db;
    struct http *http;
    struct arena *arena;
    struct daraja_conf conf;
    struct raw_server *server;
    struct raw_step steps[STEPS_MAX];
    char texts[STEPS_MAX][300];
    char url[64];
};

static int start(void **state)
{
    struct str sql = { 0 };
    char part[4096];
    size_t got;

    start_server(state);
    FILE *file = fopen(MIGRATIONS_DIR "/0012_daraja_tokens.sql", "re");
    assert_non_null(file);
    while ((got = fread(part, 1, sizeof part, file)) > 0) {
        str_append(&sql, part, got);
    }
    fclose(file);
    struct db *db = open_db();
    script(db, sql.bytes);
    db_close(db);
    str_free(&sql);
    return 0;
}

static int open_world(void **state)
{
    static struct world world;
    struct err err;

    world = (struct world){
        .db = open_db(),
        .arena = arena_create(8 << 20),
        .conf = {
            .consumer_key = "key",
            .consumer_secret = "secret",
            .token_timeout_ms = 10000, /* nobody else asks before, also on a busy machine */
            .token_margin_ms = 120000,
        },
    };
    assert_true(http_create(&(struct http_conf){ 0 }, &world.http, &err));
    script(world.db, "TRUNCATE daraja_tokens");
    *state = &world;
    return 0;
}

static int close_world(void **state)
{
    struct world *world = *state;

    if (world->server != NULL) {
        raw_server_stop(world->server);
    }
    http_destroy(world->http);
    arena_destroy(world->arena);
    db_close(world->db);
    return 0;
}

/* What the n-th request for a token gets. */
static void says(struct world *world, size_t n, const char *status, const char *body, int delay_ms)
{
    snprintf(world->texts[n], sizeof(world->texts[n]),
             "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
             status, strlen(body), body);
    world->steps[n] = (struct raw_step){ RAW_ANSWER, world->texts[n], delay_ms };
}

static void gives(struct world *world, size_t n, const char *token, const char *life, int delay_ms)
{
    char body[200];

    snprintf(body, sizeof(body), "{\"access_token\":\"%s\",\"expires_in\":\"%s\"}", token, life);
    says(world, n, "200 OK", body, delay_ms);
}

static void serve(struct world *world, size_t steps)
{
    world->server = raw_server_start(world->steps, steps);
    snprintf(world->url, sizeof(world->url), "http://127.0.0.1:%d", raw_server_port(world->server));
    world->conf.base_url = world->url;
}

static const char *get(struct world *world)
{
    const char *token = NULL;
    struct err err;

    assert_ok(daraja_token_get(world->db, world->http, &world->conf, &token, world->arena, &err));
    return token;
}

static const char *replace(struct world *world, const char *refused)
{
    const char *token = NULL;
    struct err err;

    assert_ok(daraja_token_replace(world->db, world->http, &world->conf, refused, &token,
                                   world->arena, &err));
    return token;
}

static int64_t count(struct world *world, const char *condition)
{
    static struct db_statement statement = { "count_tokens", NULL, 0 };
    static char sql[600];
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct err err;

    /* A connection knows a statement by its address: another connection for each question. */
    struct db *db = open_db();
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM daraja_tokens WHERE %s", condition);
    statement.sql = sql;
    assert_ok(db_query(db, &statement, NULL, &found, &err));
    int64_t rows = db_get_int(found, 0, 0);
    db_close(db);
    (void)world;
    return rows;
}

/*
 * In a process of its own: waits until the gate closes, asks, and exits with 0 if it got what was
 * wanted. With refused it replaces that one.
 */
static pid_t ask_elsewhere(struct world *world, const int gate[2], const char *refused,
                           const char *wanted)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid != 0) {
        return pid;
    }
    struct http *http;
    struct db *db;
    struct err err;
    const char *token;
    char byte;
    signal(SIGABRT, SIG_DFL); /* cmocka catches it to report a failed test */
    alarm(HANGS_S);
    if (!db_open(servers_get("DATABASE_URL"), "crowd", &db, &err) ||
        !http_create(&(struct http_conf){ 0 }, &http, &err)) {
        dprintf(STDERR_FILENO, "%s: %s\n", err.what, err.detail);
        _exit(2);
    }
    if (gate != NULL) {
        close(gate[1]);
        (void)!read(gate[0], &byte, 1);
    }
    bool ok = refused == NULL ? daraja_token_get(db, http, &world->conf, &token, world->arena, &err)
                              : daraja_token_replace(db, http, &world->conf, refused, &token,
                                                     world->arena, &err);
    if (!ok) {
        dprintf(STDERR_FILENO, "%s: %s\n", err.what, err.detail);
    }
    db_close(db);
    http_destroy(http);
    _exit(ok && strcmp(token, wanted) == 0 ? 0 : 1);
}

/* So many processes at once; each must get what is wanted. */
static void crowd(struct world *world, const char *refused, const char *wanted)
{
    pid_t pids[CROWD];
    int gate[2];

    assert_int_equal(pipe(gate), 0);
    for (int i = 0; i < CROWD; i++) {
        pids[i] = ask_elsewhere(world, gate, refused, wanted);
    }
    close(gate[0]);
    close(gate[1]);
    for (int i = 0; i < CROWD; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

static void wait_for_requests(struct world *world, int wanted)
{
    int64_t until_ms = clock_mono_ms() + DEADLINE_MS;

    while (raw_server_requests(world->server) < wanted) {
        assert_true(clock_mono_ms() < until_ms);
        clock_sleep_ms(5);
    }
}

static void a_token_is_asked_for_once_and_kept(void **state)
{
    struct world *world = *state;

    gives(world, 0, "first", "3599", 0);
    serve(world, 1);
    assert_string_equal(get(world), "first");
    assert_string_equal(get(world), "first");
    assert_int_equal(raw_server_requests(world->server), 1);
    assert_non_null(
        strstr(raw_server_last(world->server), "Authorization: Basic a2V5OnNlY3JldA=="));
    assert_non_null(strstr(raw_server_last(world->server),
                           "GET /oauth/v1/generate?grant_type=client_credentials HTTP/1.1"));
    /* sha256("key"); the key itself is not kept. */
    assert_int_equal(
        count(world,
              "token = 'first' AND refreshing_by IS NULL AND refreshes = 1 AND key_sha256 ="
              " '2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683'"
              " AND expires_at BETWEEN now() + interval '59 minutes' AND now() + interval '1 hour'"
              " AND expires_at - renew_at = interval '2 minutes'"),
        1);
}

static void of_many_processes_one_asks(void **state)
{
    struct world *world = *state;

    gives(world, 0, "first", "3599", 300);
    gives(world, 1, "second", "3599", 0);
    serve(world, 2);
    crowd(world, NULL, "first");
    assert_int_equal(raw_server_requests(world->server), 1);
    assert_int_equal(count(world, "refreshing_by IS NULL AND refreshes = 1"), 1);
}

static void before_its_end_one_asks_for_another(void **state)
{
    struct world *world = *state;

    gives(world, 0, "first", "3599", 0);
    gives(world, 1, "second", "3599", 300);
    gives(world, 2, "third", "3599", 0);
    serve(world, 3);
    assert_string_equal(get(world), "first");
    script(world->db, "UPDATE daraja_tokens SET renew_at = now()");
    crowd(world, NULL, "second");
    assert_int_equal(raw_server_requests(world->server), 2);
    script(world->db, "UPDATE daraja_tokens SET renew_at = now(), expires_at = now()");
    assert_string_equal(get(world), "third");
}

static void a_refused_token_is_replaced_once(void **state)
{
    struct world *world = *state;

    gives(world, 0, "first", "3599", 0);
    gives(world, 1, "second", "3599", 300);
    gives(world, 2, "third", "3599", 0);
    serve(world, 3);
    assert_string_equal(get(world), "first");
    crowd(world, "first", "second");
    assert_int_equal(raw_server_requests(world->server), 2);
    /* Who comes late with the old one gets what is there. */
    assert_string_equal(replace(world, "first"), "second");
    assert_string_equal(replace(world, "never seen"), "second");
    assert_int_equal(raw_server_requests(world->server), 2);
    assert_string_equal(replace(world, "second"), "third");
}

static void a_short_life_is_not_all_margin(void **state)
{
    struct world *world = *state;

    gives(world, 0, "first", "60", 0);
    gives(world, 1, "second", "60", 0);
    serve(world, 2);
    assert_string_equal(get(world), "first");
    assert_string_equal(get(world), "first");
    assert_int_equal(raw_server_requests(world->server), 1);
    assert_int_equal(count(world, "expires_at - renew_at BETWEEN interval '29 s' AND '30 s'"), 1);
}

static void when_none_is_to_be_had_the_old_one_serves(void **state)
{
    struct world *world = *state;
    const char *token = "untouched";
    struct err err;

    gives(world, 0, "first", "3599", 0);
    says(world, 1, "503 Service Unavailable", "<html>", 0);
    serve(world, 2);
    assert_string_equal(get(world), "first");
    script(world->db, "UPDATE daraja_tokens SET renew_at = now()");
    assert_string_equal(get(world), "first");
    assert_int_equal(raw_server_requests(world->server), 2);
    assert_int_equal(count(world, "refreshing_by IS NULL AND token = 'first'"), 1);
    /* To its last second, not beyond. */
    script(world->db, "UPDATE daraja_tokens SET renew_at = now(), expires_at = now()");
    assert_fails(daraja_token_get(world->db, world->http, &world->conf, &token, world->arena, &err),
                 ERR_TEMPORARY, "mpesa_no_token");
    assert_null(strstr(err.detail, "first"));
    assert_string_equal(token, "untouched");
}

static void wrong_credentials_are_said_even_with_an_old_one(void **state)
{
    struct world *world = *state;
    const char *token;
    struct err err;

    gives(world, 0, "first", "3599", 0);
    says(world, 1, "400 Bad Request",
         "{\"errorCode\":\"400.008.01\",\"errorMessage\":\"Invalid Authentication passed\"}", 0);
    serve(world, 2);
    assert_string_equal(get(world), "first");
    script(world->db, "UPDATE daraja_tokens SET renew_at = now()");
    assert_fails(daraja_token_get(world->db, world->http, &world->conf, &token, world->arena, &err),
                 ERR_PERMANENT, "mpesa_bad_credentials");
    assert_int_equal(count(world, "refreshing_by IS NULL"), 1);
}

static void who_dies_while_asking_is_followed(void **state)
{
    struct world *world = *state;
    int status;

    world->conf.token_timeout_ms = 400;
    world->steps[0] = (struct raw_step){ .action = RAW_SILENT };
    gives(world, 1, "second", "3599", 0);
    serve(world, 2);
    pid_t pid = ask_elsewhere(world, NULL, NULL, "");
    wait_for_requests(world, 1);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(count(world, "refreshing_by IS NOT NULL AND token IS NULL"), 1);
    assert_string_equal(get(world), "second");
    assert_int_equal(raw_server_requests(world->server), 2);
}

static void nobody_waits_for_ever(void **state)
{
    struct world *world = *state;
    const char *token = NULL;
    struct err err;

    world->conf.token_timeout_ms = 100;
    gives(world, 0, "first", "3599", 0);
    serve(world, 1);
    assert_string_equal(get(world), "first");
    script(world->db, "UPDATE daraja_tokens SET renew_at = now(), refreshing_by = 'somebody',"
                      " refreshing_until = now() + interval '1 hour'");
    int64_t began_ms = clock_mono_ms();
    assert_string_equal(get(world), "first");
    assert_true(clock_mono_ms() - began_ms < DEADLINE_MS);
    script(world->db, "UPDATE daraja_tokens SET token = NULL, expires_at = NULL, renew_at = NULL");
    assert_fails(daraja_token_get(world->db, world->http, &world->conf, &token, world->arena, &err),
                 ERR_TEMPORARY, "mpesa_token_awaited");
    assert_int_equal(raw_server_requests(world->server), 1);
    assert_int_equal(count(world, "refreshing_by = 'somebody'"), 1);
}

static void a_late_answer_overwrites_nothing(void **state)
{
    struct world *world = *state;
    int status;

    gives(world, 0, "late", "3599", 700);
    serve(world, 1);
    pid_t pid = ask_elsewhere(world, NULL, NULL, "late");
    wait_for_requests(world, 1);
    script(world->db,
           "UPDATE daraja_tokens SET token = 'newer', expires_at = now() + interval '1 hour',"
           " renew_at = now() + interval '50 min', refreshing_until = now()");
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_string_equal(get(world), "newer");
}

static void each_app_and_host_has_its_own(void **state)
{
    struct world *world = *state;

    gives(world, 0, "first", "3599", 0);
    gives(world, 1, "second", "3599", 0);
    gives(world, 2, "third", "3599", 0);
    serve(world, 3);
    assert_string_equal(get(world), "first");
    world->conf.consumer_key = "other";
    assert_string_equal(get(world), "second");
    snprintf(world->url, sizeof(world->url), "http://localhost:%d", raw_server_port(world->server));
    assert_string_equal(get(world), "third");
    assert_string_equal(get(world), "third");
    world->conf.consumer_key = "key";
    snprintf(world->url, sizeof(world->url), "http://127.0.0.1:%d", raw_server_port(world->server));
    assert_string_equal(get(world), "first");
    assert_int_equal(raw_server_requests(world->server), 3);
}

static void get_inside(void *arg)
{
    struct err err;

    if (db_begin(((struct world *)arg)->db, &err)) {
        (void)get(arg);
    }
}

static void replace_inside(void *arg)
{
    struct err err;

    if (db_begin(((struct world *)arg)->db, &err)) {
        (void)replace(arg, "first");
    }
}

static void inside_a_transaction_is_a_mistake(void **state)
{
    struct world *world = *state;

    gives(world, 0, "first", "3599", 0);
    serve(world, 1);
    assert_panics(get_inside, world, "inside a transaction");
    assert_panics(replace_inside, world, "inside a transaction");
    assert_int_equal(raw_server_requests(world->server), 0);
}

#define WORLD(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(a_token_is_asked_for_once_and_kept),
        WORLD(of_many_processes_one_asks),
        WORLD(before_its_end_one_asks_for_another),
        WORLD(a_refused_token_is_replaced_once),
        WORLD(a_short_life_is_not_all_margin),
        WORLD(when_none_is_to_be_had_the_old_one_serves),
        WORLD(wrong_credentials_are_said_even_with_an_old_one),
        WORLD(who_dies_while_asking_is_followed),
        WORLD(nobody_waits_for_ever),
        WORLD(a_late_answer_overwrites_nothing),
        WORLD(each_app_and_host_has_its_own),
        WORLD(inside_a_transaction_is_a_mistake),
    };
    return cmocka_run_group_tests(tests, start, stop_server);
}
