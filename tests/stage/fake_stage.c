#include "fake_stage.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/panic.h"
#include "servers.h"
#include "stage/core.h"

#define ARENA_BYTES (256u << 20)

struct fake_stage {
    struct stage stage;
    struct arena *lasting; /* until the stop */
    struct arena *arena;   /* of the last message */
    struct outputs outputs;
    struct fake_output *shown;
    bool once;
    char why[80];
    char detail[200];
    const char *url;
    struct db *db;
    int64_t clock_ms; /* how far it was moved on */
    int64_t waited_ms;
};

int stage_under_test_main(int argc, char **argv);

static const struct stage_def *captured;

int stage_main(const struct stage_def *def, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    captured = def;
    return 0;
}

/* --- the database ------------------------------------------------------------------------------
 */

static void must(bool ok, const struct err *err, const char *what)
{
    if (!ok) {
        panic("%s: %s (%s)", what, err->detail, err->what);
    }
}

static void run_sql(struct db *db, const char *sql)
{
    struct err err;

    must(db_script(db, sql, &err), &err, sql);
}

static void run_file(struct db *db, const char *path)
{
    struct str text = { 0 };
    struct err err;
    FILE *file = fopen(path, "re");
    char part[4096];
    size_t got;

    if (file == NULL) {
        panic("%s does not open", path);
    }
    while ((got = fread(part, 1, sizeof part, file)) > 0) {
        str_append(&text, part, got);
    }
    fclose(file);
    must(db_script(db, text.bytes, &err), &err, path);
    str_free(&text);
}

static int is_migration(const struct dirent *entry)
{
    const size_t len = strlen(entry->d_name);

    return len > 4 && strcmp(entry->d_name + len - 4, ".sql") == 0;
}

static void migrate(struct db *db)
{
    struct dirent **entries;
    const int count = scandir(MIGRATIONS_DIR, &entries, is_migration, alphasort);

    if (count <= 0) {
        panic("no migrations in %s", MIGRATIONS_DIR);
    }
    for (int i = 0; i < count; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", MIGRATIONS_DIR, entries[i]->d_name);
        run_file(db, path);
        free(entries[i]);
    }
    free(entries);
}

/* The server's url with another database name. */
static const char *url_of(struct arena *arena, const char *name)
{
    const char *url = servers_get("DATABASE_URL");
    const char *slash = strrchr(url, '/');
    const char *rest = slash != NULL ? strchr(slash, '?') : NULL;

    if (slash == NULL) {
        panic("DATABASE_URL %s has no path", url);
    }
    return arena_printf(arena, "%.*s/%s%s", (int)(slash - url), url, name,
                        rest != NULL ? rest : "");
}

static struct db *open_db(const char *url)
{
    struct db *db = NULL;
    struct err err;

    must(db_open(url, "fake_stage", &db, &err), &err, "open");
    return db;
}

/* Migrated once; each fake gets a copy. */
static void create_database(struct fake_stage *fake)
{
    static int number;
    char name[32];
    struct db *server = open_db(servers_get("DATABASE_URL"));

    if (number == 0) {
        run_sql(server, "CREATE DATABASE migrated");
        struct db *db = open_db(url_of(fake->lasting, "migrated"));
        migrate(db);
        db_close(db);
    }
    snprintf(name, sizeof name, "fake%d", ++number);
    run_sql(server, arena_printf(fake->lasting, "CREATE DATABASE %s TEMPLATE migrated", name));
    db_close(server);
    fake->url = url_of(fake->lasting, name);
    fake->db = open_db(fake->url);
}

struct db *fake_db(struct fake_stage *fake)
{
    return fake->db;
}

const char *fake_url(const struct fake_stage *fake)
{
    return fake->url;
}

void fake_sql(struct fake_stage *fake, const char *sql)
{
    run_sql(fake->db, sql);
}

static struct db_result *ask(struct fake_stage *fake, const char *sql)
{
    struct db_statement *statement = arena_alloc(fake->lasting, sizeof *statement);
    struct db_result *found = NULL;
    static int number;
    struct err err;

    statement->name = arena_printf(fake->lasting, "fake_ask_%d", ++number);
    statement->sql = arena_strdup(fake->lasting, sql);
    must(db_query(fake->db, statement, NULL, &found, &err), &err, sql);
    return found;
}

int64_t fake_number(struct fake_stage *fake, const char *sql)
{
    AUTO_DB_RESULT struct db_result *found = ask(fake, sql);

    return db_rows(found) > 0 ? db_get_int(found, 0, 0) : -1;
}

const char *fake_text(struct fake_stage *fake, const char *sql)
{
    AUTO_DB_RESULT struct db_result *found = ask(fake, sql);
    const char *text = db_rows(found) > 0 ? db_get_text(found, 0, 0) : NULL;

    return text != NULL ? arena_strdup(fake->lasting, text) : NULL;
}

/* --- the stage ---------------------------------------------------------------------------------
 */

static bool move_clock(struct stage *stage, int64_t ms)
{
    struct fake_stage *fake = stage->wait_context;

    fake->waited_ms += ms;
    fake_stage_advance_ms(fake, ms);
    return true;
}

void fake_stage_advance_ms(struct fake_stage *fake, int64_t ms)
{
    fake->clock_ms += ms;
    clock_set_offset_ms(fake->clock_ms);
}

static void open_stage(struct fake_stage *fake)
{
    struct stage *stage = &fake->stage;
    struct str problems = { 0 };
    struct err err;

    *stage = (struct stage){
        .def = captured,
        .memory = arena_create(ARENA_BYTES),
        .arena = arena_create(ARENA_BYTES),
        .metrics = metrics_create("fake_stage"),
        .wait = move_clock,
        .wait_context = fake,
    };
    log_context(&stage->log, "stage", captured->name);
    setenv("DATABASE_URL", fake->url, 1);
    setenv("AMQP_URL", "amqp://nobody@127.0.0.1:1/", 1);
    if (!settings_load(stage, &problems)) {
        panic("settings of %s:\n%s", captured->name, problems.bytes);
    }
    str_free(&problems);
    stage->route =
        topic_stage_is_routed(captured->name) ? topic_stage_routes(captured->name)[0] : NULL;
    must(stage_open(stage, captured->name, &err), &err, "start");
}

static void close_stage(struct fake_stage *fake)
{
    stage_close(&fake->stage);
    metrics_destroy(fake->stage.metrics);
    arena_destroy(fake->stage.arena);
    arena_destroy(fake->stage.memory);
}

struct fake_stage *fake_stage_start(void)
{
    struct fake_stage *fake = calloc(1, sizeof *fake);

    if (fake == NULL || stage_under_test_main(0, NULL) != 0 || captured == NULL) {
        panic("no stage is linked into this test");
    }
    fake->lasting = arena_create(ARENA_BYTES);
    fake->arena = arena_create(ARENA_BYTES);
    clock_set_offset_ms(0);
    create_database(fake);
    open_stage(fake);
    return fake;
}

void fake_stage_restart(struct fake_stage *fake)
{
    close_stage(fake);
    open_stage(fake);
}

void fake_stage_hurry(struct fake_stage *fake, long begin_within_ms)
{
    const struct http_conf conf = { .begin_within_ms = begin_within_ms, .max_connections = 2 };
    struct err err;

    http_destroy(fake->stage.http);
    must(http_create(&conf, &fake->stage.http, &err), &err, "http_create");
}

void fake_stage_stop(struct fake_stage *fake)
{
    close_stage(fake);
    db_close(fake->db);
    arena_destroy(fake->arena);
    arena_destroy(fake->lasting);
    clock_set_offset_ms(0);
    free(fake);
}

void fake_stage_repeat(struct fake_stage *fake, bool twice)
{
    fake->once = !twice;
}

/* --- messages ----------------------------------------------------------------------------------
 */

/* The delivery that the broker would make of it. */
static void deliver(const struct fake_stage *fake, const struct fake_message *message,
                    struct arena *arena, struct broker_delivery *delivery)
{
    const char *prefix = fake->stage.settings->prefix;
    const char *account = message->account != NULL ? message->account : "";

    *delivery = (struct broker_delivery){
        .exchange = message->from_partner ? arena_printf(arena, "%s.in.%s", prefix, account)
                                          : arena_printf(arena, "%s.campaigns", prefix),
        .key = "",
        .id = message->id,
        .type = message->type,
        .correlation = message->correlation,
        .body = message->json,
        .body_len = strlen(message->json),
        .header_count = 3,
    };
    delivery->headers[0] = (struct broker_header){ .key = "account", .text = account };
    delivery->headers[1] =
        (struct broker_header){ .key = "attempt",
                                .num = message->attempt > 0 ? message->attempt : 1 };
    delivery->headers[2] = (struct broker_header){ .key = "deadline", .num = message->deadline_ms };
}

static void keep_reason(struct fake_stage *fake, const char *why, const char *detail)
{
    snprintf(fake->why, sizeof fake->why, "%s", why);
    snprintf(fake->detail, sizeof fake->detail, "%s", detail);
}

static enum verdict handle_once(struct fake_stage *fake, const struct fake_message *message,
                                struct arena *arena, struct outputs *outputs)
{
    struct broker_delivery delivery;
    struct envelope envelope;
    struct handled handled;
    const char *fault;
    char detail[200];

    outputs_begin(outputs, arena);
    fake->waited_ms = 0;
    deliver(fake, message, arena, &delivery);
    if (!envelope_read(&fake->stage, &delivery, "fake", message->high ? LANE_HIGH : LANE_NORMAL,
                       arena, &envelope, &fault, detail)) {
        keep_reason(fake, fault, detail);
        return STAGE_REJECT;
    }
    handle_message(&fake->stage, &envelope.in, outputs, &handled);
    keep_reason(fake, handled.why, handled.detail);
    return handled.undecided ? STAGE_RETRY : handled.verdict;
}

static void must_be_same(const struct fake_message *message, const struct outputs *before,
                         const struct outputs *after)
{
    const struct output *a = before->first;
    const struct output *b = after->first;

    for (; a != NULL && b != NULL; a = a->next, b = b->next) {
        if (strcmp(a->message.id, b->message.id) != 0 ||
            strcmp(a->message.type, b->message.type) != 0) {
            panic("%s %s handled again: %s %s was emitted first, then %s %s", message->type,
                  message->id, a->message.type, a->message.id, b->message.type, b->message.id);
        }
    }
    if (a != NULL || b != NULL) {
        panic("%s %s handled again: %u outputs first, then %u; %s is missing once", message->type,
              message->id, before->count, after->count,
              a != NULL ? a->message.type : b->message.type);
    }
}

static void show(struct fake_stage *fake)
{
    size_t i = 0;

    fake->shown = arena_array(fake->arena, fake->outputs.count + 1, sizeof *fake->shown);
    for (const struct output *out = fake->outputs.first; out != NULL; out = out->next) {
        fake->shown[i++] = (struct fake_output){
            .type = out->message.type,
            .id = out->message.id,
            .json = out->message.body,
            .exchange = out->message.exchange,
            .key = out->message.key,
            .route = out->route,
            .account = out->account,
            .correlation = out->message.correlation,
            .delay_ms = out->delay_ms,
        };
    }
}

enum verdict fake_stage_give(struct fake_stage *fake, const struct fake_message *message)
{
    struct outputs before;

    arena_reset(fake->arena);
    enum verdict verdict = handle_once(fake, message, fake->arena, &fake->outputs);
    if (verdict == STAGE_DONE && !fake->once) {
        before = fake->outputs;
        verdict = handle_once(fake, message, fake->arena, &fake->outputs);
        if (verdict != STAGE_DONE) {
            panic("%s %s was done; handled again it is %s, %s: %s", message->type, message->id,
                  verdict_word(verdict), fake->why, fake->detail);
        }
        must_be_same(message, &before, &fake->outputs);
    }
    show(fake);
    return verdict;
}

enum verdict fake_stage_together(struct fake_stage *fake, const struct fake_message *messages,
                                 size_t count)
{
    const struct message **in;
    struct handled handled;
    char detail[200];

    arena_reset(fake->arena);
    fake->waited_ms = 0;
    in = arena_array(fake->arena, count, sizeof *in);
    for (size_t i = 0; i < count; i++) {
        struct envelope *envelope = arena_alloc(fake->arena, sizeof *envelope);
        struct broker_delivery delivery;
        const char *fault;

        deliver(fake, &messages[i], fake->arena, &delivery);
        if (!envelope_read(&fake->stage, &delivery, "fake", LANE_NORMAL, fake->arena, envelope,
                           &fault, detail)) {
            panic("%s %s: %s: %s", messages[i].type, messages[i].id, fault, detail);
        }
        in[i] = &envelope->in;
    }
    handle_together(&fake->stage, in, count, &handled);
    keep_reason(fake, handled.why, handled.detail);
    return handled.undecided ? STAGE_RETRY : handled.verdict;
}

enum verdict fake_stage_send(struct fake_stage *fake, const char *type, const char *id,
                             const char *json)
{
    return fake_stage_give(fake, &(struct fake_message){ .type = type, .id = id, .json = json });
}

static bool tick(struct fake_stage *fake, bool lost)
{
    struct stage *stage = &fake->stage;
    struct err err;

    arena_reset(fake->arena);
    outputs_begin(&fake->outputs, fake->arena);
    fake->waited_ms = 0;
    keep_reason(fake, "", "");
    must(db_begin(stage->db, &err), &err, "begin");
    stage->out = &fake->outputs;
    bool ticked = stage->def->tick(stage, &err);
    stage->out = NULL;
    arena_reset(stage->arena);
    ticked = ticked && (lost || db_commit(stage->db, &err));
    if (!ticked) {
        keep_reason(fake, err.what, err.detail);
        outputs_begin(&fake->outputs, fake->arena);
    }
    db_rollback(stage->db);
    show(fake);
    return ticked;
}

bool fake_stage_tick(struct fake_stage *fake)
{
    return tick(fake, false);
}

bool fake_stage_tick_lost(struct fake_stage *fake)
{
    return tick(fake, true);
}

/* --- what came of it ---------------------------------------------------------------------------
 */

const char *fake_stage_why(const struct fake_stage *fake)
{
    return fake->why;
}

const char *fake_stage_detail(const struct fake_stage *fake)
{
    return fake->detail;
}

int64_t fake_stage_waited_ms(const struct fake_stage *fake)
{
    return fake->waited_ms;
}

size_t fake_stage_emitted(const struct fake_stage *fake)
{
    return fake->outputs.count;
}

const struct fake_output *fake_stage_out(const struct fake_stage *fake, size_t index)
{
    if (index >= fake->outputs.count) {
        panic("output %zu of %u", index, fake->outputs.count);
    }
    return &fake->shown[index];
}

size_t fake_stage_emitted_of(const struct fake_stage *fake, const char *type)
{
    size_t count = 0;

    for (size_t i = 0; i < fake->outputs.count; i++) {
        count += strcmp(fake->shown[i].type, type) == 0;
    }
    return count;
}

void fake_stage_read(struct fake_stage *fake, const struct shape *shape, size_t index, void *out)
{
    size_t seen = 0;
    struct err err;

    for (size_t i = 0; i < fake->outputs.count; i++) {
        const char *json = fake->shown[i].json;
        if (strcmp(fake->shown[i].type, shape->type) == 0 && seen++ == index) {
            must(shape_read(shape, json, strlen(json), out, fake->arena, &err), &err, json);
            return;
        }
    }
    panic("%s number %zu was not emitted", shape->type, index);
}
