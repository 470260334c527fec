/*
 * once - --once: one message on stdin, its outputs on stdout, the verdict as exit status
 *
 *     batch.ready.v1 [message id [account]]
 *     { "campaign": ... }
 *
 * The first line names the type; the rest is the body. Without an id one is derived from the
 * input, so that the same input gives the same outputs. The database is the real one and the
 * transaction commits; the broker is not touched. Each output is a line of JSON.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/panic.h"
#include "stage/core.h"

#define ONCE_ARENA_BYTES (64u << 20)
#define READ_BYTES 65536
/* Type, id and account on the first line. */
#define WORDS_MAX 3

static bool read_all(int fd, struct str *text)
{
    for (;;) {
        char *room = str_room(text, READ_BYTES);
        const ssize_t got = read(fd, room, READ_BYTES);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            *room = '\0';
            return got == 0;
        }
        text->len += (size_t)got;
        text->bytes[text->len] = '\0';
    }
}

/* Splits "type id account" in place; absent words stay "". */
static void split_words(char *line, const char *words[WORDS_MAX])
{
    char *rest = line;

    for (int i = 0; i < WORDS_MAX; i++) {
        const char *word = strsep(&rest, " \t\r");
        words[i] = word != NULL ? word : "";
    }
}

static void print_member(struct str *line, const char *name, const char *text)
{
    if (text != NULL && *text != '\0') {
        str_printf(line, "\"%s\":", name);
        json_put_string(line, text, strlen(text));
        str_putc(line, ',');
    }
}

static void print_output(const struct output *out)
{
    struct str line = { 0 };

    str_putc(&line, '{');
    print_member(&line, "type", out->message.type);
    print_member(&line, "id", out->message.id);
    print_member(&line, "exchange", out->message.exchange);
    print_member(&line, "key", out->message.key);
    print_member(&line, "correlation", out->message.correlation);
    print_member(&line, "account", out->account);
    if (out->delay_ms > 0) {
        str_printf(&line, "\"delay_ms\":%lld,", (long long)out->delay_ms);
    }
    str_puts(&line, "\"body\":");
    str_append(&line, out->message.body, out->message.body_len);
    str_puts(&line, "}\n");
    fputs(line.bytes, stdout);
    str_free(&line);
}

static int run(struct stage *stage, const struct broker_delivery *delivery)
{
    struct arena *arena = arena_create(ONCE_ARENA_BYTES);
    struct envelope envelope;
    struct outputs outputs;
    struct handled handled = { .verdict = STAGE_REJECT };
    char detail[200] = "";

    outputs_begin(&outputs, arena);
    if (envelope_read(stage, delivery, "", LANE_NORMAL, arena, &envelope, &handled.why, detail)) {
        handle_message(stage, &envelope.in, &outputs, &handled);
        snprintf(detail, sizeof detail, "%s", handled.detail);
    }
    for (const struct output *out = outputs.first; out != NULL; out = out->next) {
        print_output(out);
    }
    if (handled.verdict != STAGE_DONE) {
        log_warn(&stage->log, handled.verdict == STAGE_RETRY ? "message_retry" : "message_parked",
                 KV_STR("type", envelope.in.type), KV_STR("why", handled.why),
                 KV_STR("detail", detail));
    }
    arena_destroy(arena);
    switch (handled.verdict) {
    case STAGE_DONE:
        return EXIT_OK;
    case STAGE_RETRY:
        return EXIT_ONCE_RETRY;
    case STAGE_REJECT:
        return EXIT_ONCE_REJECT;
    }
    panic("verdict %d", (int)handled.verdict);
}

static bool wait_plainly(struct stage *stage, int64_t ms)
{
    (void)stage;
    clock_sleep_ms(ms);
    return true;
}

int once(struct stage *stage)
{
    struct str input = { 0 };
    const char *words[WORDS_MAX];
    char id[ID_MESSAGE_BYTES];
    struct err err;

    if (!read_all(STDIN_FILENO, &input) || input.len == 0) {
        fprintf(stderr, "%s: --once reads a line with the type and then the body from stdin\n",
                stage->def->name);
        str_free(&input);
        return EXIT_USAGE;
    }
    derive_id("once", stage->def->name, input.bytes, id);
    char *body = strchr(input.bytes, '\n');
    if (body != NULL) {
        *body++ = '\0';
    } else {
        body = input.bytes + input.len;
    }
    split_words(input.bytes, words);
    stage->wait = wait_plainly;
    if (!stage_open(stage, stage->def->name, &err)) {
        log_error(&stage->log, "not_started", KV_STR("why", err.what),
                  KV_STR("detail", err.detail));
        stage_close(stage);
        str_free(&input);
        return err.kind == ERR_TEMPORARY ? EXIT_ONCE_RETRY : EXIT_FAILED;
    }
    const int status = run(stage, &(struct broker_delivery){
                                      .exchange = "",
                                      .key = "",
                                      .id = *words[1] != '\0' ? words[1] : id,
                                      .type = words[0],
                                      .body = body,
                                      .body_len = strlen(body),
                                      .headers = { { .key = "account", .text = words[2] } },
                                      .header_count = 1,
                                  });
    stage_close(stage);
    str_free(&input);
    return status;
}
