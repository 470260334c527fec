#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "msg/topic.h"

#define STATEMENTS_MAX 32

static struct db *db;
static struct broker_publisher *publisher;
static struct broker_conf conf;
static char folder[300]; /* below the servers', so that it goes with them */
static char output_path[320], input_path[320];
static size_t settled;
static pid_t running; /* the demo, while nobody has waited for it */

struct db *world_db(void)
{
    return db;
}

static void script(const char *sql)
{
    struct err err;

    if (db_is_down(db) && !db_reconnect(db, &err)) {
        fail_msg("reconnect: %s", err.detail);
    }
    if (!db_script(db, sql, &err)) {
        fail_msg("%s: %s", sql, err.detail);
    }
}

/* The connection knows a statement by its address: one for each text, kept. */
static const struct db_statement *statement_of(const char *sql)
{
    static struct db_statement statements[STATEMENTS_MAX];
    static char names[STATEMENTS_MAX][8], texts[STATEMENTS_MAX][300];
    static int count;

    for (int i = 0; i < count; i++) {
        if (strcmp(texts[i], sql) == 0) {
            return &statements[i];
        }
    }
    assert_true(count < STATEMENTS_MAX && strlen(sql) < sizeof texts[0]);
    strcpy(texts[count], sql);
    snprintf(names[count], sizeof names[0], "ask%d", count);
    statements[count] = (struct db_statement){ names[count], texts[count], 0 };
    return &statements[count++];
}

int64_t world_number(const char *sql)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct err err;

    if (db_is_down(db) && !db_reconnect(db, &err)) {
        return -1;
    }
    if (!db_query(db, statement_of(sql), NULL, &found, &err)) {
        fail_msg("%s: %s", sql, err.detail);
    }
    return db_get_int(found, 0, 0);
}

void world_import(void)
{
    struct str text = { 0 };
    char path[340];
    char command[380];

    topic_definitions("tuma", "/", &text);
    snprintf(path, sizeof path, "%s/definitions.json", folder);
    FILE *file = fopen(path, "we");
    if (file == NULL || fwrite(text.bytes, 1, text.len, file) != text.len || fclose(file) != 0) {
        fail_msg("%s", path);
    }
    chmod(folder, 0755);
    chmod(path, 0644);
    snprintf(command, sizeof command, "import_definitions %s", path);
    servers_ctl(command);
    str_free(&text);
}

int world_start(void **state)
{
    const struct broker_binding bindings[] = {
        { .queue = EVENTS, .exchange = "tuma.events", .key = "#.acme" },
        { .queue = INPUTS, .exchange = PARTNER, .key = "campaign.closed.normal" },
    };
    struct err err;

    (void)state;
    servers_start("postgres rabbitmq");
    snprintf(folder, sizeof folder, "%s/world", servers_get("SERVERS_DIR"));
    if (mkdir(folder, 0755) != 0) {
        return -1;
    }
    snprintf(output_path, sizeof output_path, "%s/output", folder);
    snprintf(input_path, sizeof input_path, "%s/input", folder);
    demo_input("");
    conf = (struct broker_conf){ .url = servers_get("AMQP_URL"), .name = "test" };
    if (!db_open(servers_get("DATABASE_URL"), "test", &db, &err)) {
        fail_msg("%s", err.detail);
    }
    world_import();
    if (!broker_declare(&conf, PARTNER, "direct", EVENTS, bindings, 2, &err) ||
        !broker_publisher_create(&conf, &publisher, &err)) {
        fail_msg("%s", err.detail);
    }
    script("CREATE TABLE demo (id text PRIMARY KEY, reference text, times int DEFAULT 1);"
           "CREATE TABLE demo_due (name text PRIMARY KEY, done boolean DEFAULT false);"
           "CREATE TABLE schema_migrations (version int);"
           "INSERT INTO schema_migrations VALUES (1)");
    return 0;
}

/* One that a failed test left: the next test is not to share its messages with it. */
static void end_leftover(void)
{
    if (running > 0) {
        kill(running, SIGKILL);
        waitpid(running, NULL, 0);
        running = 0;
    }
}

int world_stop(void **state)
{
    (void)state;
    end_leftover();
    broker_publisher_destroy(publisher);
    db_close(db);
    servers_stop();
    return 0;
}

/* --- messages ----------------------------------------------------------------------------------
 */

static void count_settled(void *context, uint64_t ticket, enum broker_outcome outcome)
{
    (void)context;
    if (outcome != BROKER_CONFIRMED) {
        fail_msg("message %llu was not taken: %d", (unsigned long long)ticket, (int)outcome);
    }
    settled++;
}

static void pump_until(size_t want)
{
    const int64_t until_ms = clock_mono_ms() + WITHIN_MS;

    while (settled < want) {
        broker_publisher_pump(publisher, 100, count_settled, NULL);
        if (clock_mono_ms() > until_ms) {
            fail_msg("only %zu of %zu confirmed: %s", settled, want,
                     broker_publisher_trouble(publisher));
        }
    }
}

void world_send(const struct broker_message *message)
{
    settled = 0;
    broker_publish(publisher, message, 1);
    pump_until(1);
}

static void queue_closed(const char *reference, const char *id)
{
    char body[200];

    snprintf(body, sizeof body, "{\"reference\":\"%s\",\"chunks\":3}", reference);
    broker_publish(publisher,
                   &(struct broker_message){
                       .exchange = "tuma.campaigns",
                       .key = "campaign.closed.normal",
                       .id = id,
                       .type = "campaign.closed.v1",
                       .correlation = "cmp_demo",
                       .timestamp_ms = clock_now_ms(),
                       .body = body,
                       .body_len = strlen(body),
                   },
                   1);
}

void world_publish(const char *reference, const char *id)
{
    settled = 0;
    queue_closed(reference, id);
    pump_until(1);
}

void world_publish_many(const char *reference, int count)
{
    char id[24];

    settled = 0;
    for (int i = 0; i < count; i++) {
        while (broker_publisher_room(publisher) == 0) {
            broker_publisher_pump(publisher, 100, count_settled, NULL);
        }
        snprintf(id, sizeof id, "m%d", i);
        queue_closed(reference, id);
    }
    pump_until((size_t)count);
}

static void copy(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text != NULL ? text : "");
}

static void keep(const struct broker_delivery *delivery, struct got *out)
{
    *out = (struct got){ .attempt = broker_header_int(delivery, "attempt", 0),
                         .born_ms = broker_header_int(delivery, "born_ms", 0),
                         .deadline = broker_header_int(delivery, "deadline", 0),
                         .queue = delivery->queue };
    copy(out->id, sizeof out->id, delivery->id);
    copy(out->type, sizeof out->type, delivery->type);
    copy(out->exchange, sizeof out->exchange, delivery->exchange);
    copy(out->key, sizeof out->key, delivery->key);
    copy(out->correlation, sizeof out->correlation, delivery->correlation);
    copy(out->why, sizeof out->why, broker_header_text(delivery, "why"));
    copy(out->detail, sizeof out->detail, broker_header_text(delivery, "detail"));
    copy(out->account, sizeof out->account, broker_header_text(delivery, "account"));
    copy(out->trace, sizeof out->trace, broker_header_text(delivery, "traceparent"));
    copy(out->stage, sizeof out->stage, broker_header_text(delivery, "stage"));
    copy(out->version, sizeof out->version, broker_header_text(delivery, "version"));
    copy(out->verdict, sizeof out->verdict, broker_header_text(delivery, "verdict"));
    copy(out->origin_exchange, sizeof out->origin_exchange,
         broker_header_text(delivery, "origin_exchange"));
    copy(out->origin_key, sizeof out->origin_key, broker_header_text(delivery, "origin_key"));
    snprintf(out->body, sizeof out->body, "%.*s", (int)delivery->body_len, delivery->body);
}

static struct broker_consumer *listen_to(const char *queue)
{
    struct broker_consumer *consumer = NULL;
    struct err err;

    if (!broker_consumer_create(&conf, &queue, 1, 100, &consumer, &err)) {
        fail_msg("%s: %s", queue, err.detail);
    }
    return consumer;
}

void world_collect(const char *queue, struct got *out, size_t want)
{
    const int64_t until_ms = clock_mono_ms() + WITHIN_MS;
    struct broker_consumer *consumer = listen_to(queue);
    struct broker_delivery delivery;
    size_t count = 0;

    while (count < want) {
        if (broker_consumer_next(consumer, 100, &delivery) == BROKER_DELIVERY) {
            keep(&delivery, &out[count++]);
            broker_ack(consumer, delivery.tag);
            broker_delivery_free(&delivery);
        } else if (clock_mono_ms() > until_ms) {
            fail_msg("%s: %zu of %zu messages (%s); the stage said:\n%s", queue, count, want,
                     broker_consumer_trouble(consumer), demo_output());
        }
    }
    broker_consumer_destroy(consumer);
}

static int64_t ask_depth(const char *queue, int64_t *out_consumers)
{
    int64_t ready = 0;
    struct err err;

    *out_consumers = 0;
    if (!broker_queue_depth(&conf, &queue, 1, &ready, out_consumers, &err)) {
        fail_msg("%s: %s", queue, err.detail);
    }
    return ready;
}

int64_t world_depth(const char *queue)
{
    int64_t consumers;

    return ask_depth(queue, &consumers);
}

int64_t world_consumers(const char *queue)
{
    int64_t consumers;

    (void)ask_depth(queue, &consumers);
    return consumers;
}

void world_expect_empty(const char *queue)
{
    const int64_t ready = world_depth(queue);

    if (ready > 0) {
        fail_msg("%s holds %lld messages; the stage said:\n%s", queue, (long long)ready,
                 demo_output());
    }
}

int world_reset(void **state)
{
    static const char *const queues[] = {
        INPUTS, INPUTS_HIGH, OUTPUTS, OUTPUTS_HIGH, PARKED, EVENTS
    };
    static struct got got[1000];

    (void)state;
    end_leftover();
    for (size_t i = 0; i < sizeof queues / sizeof *queues; i++) {
        int64_t left;
        while ((left = world_depth(queues[i])) > 0) {
            world_collect(queues[i], got, left < 1000 ? (size_t)left : 1000);
        }
    }
    script("TRUNCATE demo, demo_due");
    demo_input("");
    return 0;
}

/* --- the demo ----------------------------------------------------------------------------------
 */

void demo_input(const char *text)
{
    FILE *file = fopen(input_path, "we");

    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0) {
        fail_msg("%s", input_path);
    }
}

const char *demo_output(void)
{
    static char text[200000];
    FILE *file = fopen(output_path, "re");
    const size_t len = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;

    text[len] = '\0';
    if (file != NULL) {
        fclose(file);
    }
    return text;
}

static void run_child(const char *program, const char *const *options, const char *const *env)
{
    char *argv[16] = { strdup(program) };
    int in = open(input_path, O_RDONLY | O_CLOEXEC);
    int out = open(output_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);

    for (int i = 0; options != NULL && options[i] != NULL && i < 14; i++) {
        argv[i + 1] = strdup(options[i]);
    }
    for (; env != NULL && *env != NULL; env++) {
        putenv(strdup(*env));
    }
    if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
        dup2(out, STDERR_FILENO) < 0) {
        _exit(127);
    }
    execv(program, argv);
    _exit(127);
}

static pid_t start_program(const char *program, const char *const *options, const char *const *env)
{
    setenv("DATABASE_URL", servers_get("DATABASE_URL"), 0);
    setenv("AMQP_URL", servers_get("AMQP_URL"), 0);
    fflush(NULL);
    unlink(output_path); /* nobody is to read what the last one said */
    const pid_t pid = fork();
    if (pid == 0) {
        run_child(program, options, env);
    }
    running = pid;
    return pid;
}

pid_t start_demo(const char *const *options, const char *const *env)
{
    return start_program(DEMO, options, env);
}

pid_t start_crasher(const char *point, const char *const *options)
{
    char setting[80];

    snprintf(setting, sizeof setting, "TUMA_CRASH_AT=%s", point);
    return start_program(DEMO_CRASH, options, (const char *[]){ setting, "DEMO_TICKS=yes", NULL });
}

int wait_demo(pid_t pid)
{
    const int64_t until_ms = clock_mono_ms() + WITHIN_MS;
    int status;

    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (clock_mono_ms() > until_ms) {
            kill(pid, SIGKILL);
            fail_msg("the stage does not end; it said:\n%s", demo_output());
        }
        clock_sleep_ms(2);
    }
    running = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int run_demo(const char *const *options, const char *const *env)
{
    return wait_demo(start_demo(options, env));
}

void await_output(const char *text)
{
    await(strstr(demo_output(), text) != NULL);
}

static int child_of(pid_t pid)
{
    char path[80];
    int child = 0;

    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL || fscanf(file, "%d", &child) != 1) {
        child = 0;
    }
    if (file != NULL) {
        fclose(file);
    }
    return child;
}

pid_t worker_of(pid_t pid)
{
    await(child_of(pid) > 0);
    return child_of(pid);
}

long status_kb(pid_t pid, const char *field)
{
    char path[40];
    char line[200];
    long value = -1;

    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, field, strlen(field)) == 0) {
            value = strtol(line + strlen(field) + 1, NULL, 10);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return value;
}

long cpu_ticks(pid_t pid)
{
    char path[40];
    long user = -1;
    long system = 0;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL || fscanf(file, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld",
                               &user, &system) != 2) {
        user = -1;
    }
    if (file != NULL) {
        fclose(file);
    }
    return user + system;
}
