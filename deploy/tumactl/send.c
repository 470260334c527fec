/*
 * send - a campaign from a CSV file
 *
 * The row of the campaign is stored, then its recipients are published in chunks, then its closing:
 * the same as the ingress does with an upload. The file is read twice, first to find out whether it
 * can be sent at all, so that a bad row on line 9,000 does not leave half a campaign behind. A send
 * that breaks off is continued by running it again with the same --reference: chunks have the
 * same ids and are taken in once.
 */
#include "send.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/str.h"
#include "campaign/chunker.h"
#include "campaign/columns.h"
#include "publish.h"
#include "text/csv.h"
#include "text/template.h"
#include "watch.h"

#define READ_BYTES 65536
#define SHOWN_BAD_ROWS 10
#define TEMPLATE_FILE_MAX (CAMPAIGN_TEMPLATE_MAX + 4) /* a byte order mark and a newline more */

/* One way through the file; `publishes` is false the first time. */
struct pass {
    struct ctl *ctl;
    const struct campaign_new *new;
    char campaign[ID_TEXT_BYTES];
    bool publishes;
    struct chunker chunker;
    const char **columns;
    size_t column_count;
    int64_t bad_rows;
    struct str body;
    bool ok;
    struct err *err;
};

static void on_chunk(void *context, struct chunker *chunker)
{
    struct pass *pass = context;

    if (!pass->publishes || !pass->ok) {
        return;
    }
    chunker_body(chunker, &pass->body);
    pass->ok = publish_fact(pass->ctl,
                            &(struct publish_fact){ .shape = &recipients_submitted_v1,
                                                    .lane = pass->new->lane,
                                                    .campaign = pass->campaign,
                                                    .account = pass->new->account->slug,
                                                    .number = chunker->chunk,
                                                    .body = &pass->body },
                            pass->err);
}

/* The heading: a phone column, and every field of the template. */
static bool check_columns(struct pass *pass)
{
    const char *source = pass->new->definition->message_template;
    const struct text_template *template;
    const struct text_binding *binding;

    if (pass->column_count > CAMPAIGN_COLUMNS_MAX) {
        return err_permanent(pass->err, "too_many_columns", "%zu columns, at most %d allowed",
                             pass->column_count, CAMPAIGN_COLUMNS_MAX);
    }
    for (size_t i = 0; i < pass->column_count; i++) {
        size_t len = strlen(pass->columns[i]);

        if (len == 0 || len > CAMPAIGN_COLUMN_MAX) {
            return err_permanent(pass->err, "bad_column",
                                 "column %zu: a name of 1 to %d bytes is needed", i + 1,
                                 CAMPAIGN_COLUMN_MAX);
        }
    }
    if (campaign_phone_column(pass->columns, pass->column_count) < 0) {
        return err_permanent(pass->err, "no_phone_column", "no phone column; name one %s",
                             campaign_phone_names());
    }
    return source == NULL || *source == '\0' || /* an audio is played; or it is refused later */
           (text_template_compile(source, strlen(source), pass->ctl->arena, &template, pass->err) &&
            text_template_bind(template, pass->columns, pass->column_count, pass->ctl->arena,
                               &binding, pass->err));
}

static bool begin_rows(struct pass *pass, const char *const *cells, size_t count)
{
    pass->columns = arena_array(pass->ctl->arena, count, sizeof *pass->columns);
    pass->column_count = count;
    for (size_t i = 0; i < count; i++) {
        pass->columns[i] = arena_strdup(pass->ctl->arena, cells[i]);
    }
    chunker_init(&pass->chunker, pass->columns, count, on_chunk, pass);
    pass->chunker.campaign = pass->campaign;
    return check_columns(pass);
}

static bool on_bad_row(void *context, size_t line, const struct err *err)
{
    struct pass *pass = context;

    (void)line; /* err has it */
    pass->bad_rows++;
    if (!pass->publishes && pass->bad_rows <= SHOWN_BAD_ROWS) {
        fprintf(stderr, "%s\n", err->detail);
    }
    return true;
}

static bool on_row(void *context, const struct text_csv_row *row)
{
    struct pass *pass = context;
    struct err too_long;

    if (row->number == 0) {
        pass->ok = begin_rows(pass, row->cells, row->count);
    } else if (!chunker_add(&pass->chunker, row->cells)) {
        err_permanent(&too_long, "row_too_long", "line %zu: too long for a message", row->line);
        return on_bad_row(pass, row->line, &too_long);
    }
    return pass->ok;
}

static bool read_rows(struct pass *pass, const char *path)
{
    FILE *file = fopen(path, "re");
    struct text_csv *csv = text_csv_create(pass->ctl->arena, on_row, on_bad_row, pass);
    char *bytes = arena_alloc(pass->ctl->arena, READ_BYTES);
    bool wants_more = true;
    bool failed;
    size_t got;

    pass->ok = true;
    if (!file) {
        return err_permanent(pass->err, "csv_unreadable", "%.120s: %s", path, strerror(errno));
    }
    while (wants_more && (got = fread(bytes, 1, READ_BYTES, file)) > 0) {
        wants_more = text_csv_feed(csv, bytes, got);
    }
    failed = ferror(file) != 0;
    (void)fclose(file); /* read only */
    if (failed) {
        return err_permanent(pass->err, "csv_unreadable", "%.120s: cannot be read", path);
    }
    if (wants_more) {
        (void)text_csv_finish(csv); /* what it says is in pass->ok and pass->bad_rows */
    }
    if (pass->ok && pass->column_count > 0) {
        chunker_flush(&pass->chunker);
    }
    return pass->ok;
}

static bool check_file(struct pass *pass, const char *path)
{
    bool skips = ctl_option(pass->ctl, "skip-bad") != NULL;

    if (!read_rows(pass, path)) {
        return false;
    }
    if (pass->bad_rows > 0 && !skips) {
        return err_permanent(pass->err, "csv_bad_rows",
                             "%lld rows cannot be read; correct them, or leave them out with "
                             "--skip-bad",
                             (long long)pass->bad_rows);
    }
    if (pass->column_count == 0 || chunker_rows(&pass->chunker) == 0) {
        return err_permanent(pass->err, "no_recipients", "%.120s: has no rows", path);
    }
    return true;
}

static bool create(struct ctl *ctl, const struct campaign_new *new, struct campaign_made *out_made,
                   struct err *err)
{
    struct db *db;

    if (!ctl_db(ctl, &db, err) || !db_begin(db, err)) {
        return false;
    }
    if (!campaign_create(db, new, ctl->arena, out_made, err) || !db_commit(db, err)) {
        db_rollback(db);
        return false;
    }
    return true;
}

static bool close_campaign(struct pass *pass, int64_t chunks)
{
    str_reset(&pass->body);
    shape_write(&campaign_closed_v1,
                &(struct campaign_closed){ .campaign = pass->campaign, .chunks = chunks },
                &pass->body);
    return publish_fact(pass->ctl,
                        &(struct publish_fact){ .shape = &campaign_closed_v1,
                                                .lane = pass->new->lane,
                                                .campaign = pass->campaign,
                                                .account = pass->new->account->slug,
                                                .number = 0,
                                                .body = &pass->body },
                        pass->err);
}

/* *out_wanted false: the campaign was sent before and has all it needs. */
static bool begin_campaign(struct pass *pass, int64_t *out_id, bool *out_wanted)
{
    struct campaign_made made;
    struct campaign_view view;
    bool found;

    if (!create(pass->ctl, pass->new, &made, pass->err) ||
        !campaign_find(pass->ctl->db, 0, made.id, pass->ctl->arena, &view, &found, pass->err)) {
        return false;
    }
    id_format("cmp", made.id, pass->campaign);
    *out_id = made.id;
    *out_wanted = found && strcmp(view.status, "receiving") == 0;
    if (made.existed) {
        fprintf(stderr, "reference %s is known: campaign %s is %s\n", view.reference,
                pass->campaign, view.status);
    }
    return true;
}

static bool send_file(struct ctl *ctl, const struct campaign_new *new, const char *path,
                      int64_t *out_id, struct err *err)
{
    struct pass checking = { .ctl = ctl, .new = new, .err = err };
    struct pass sending = { .ctl = ctl, .new = new, .err = err, .publishes = true };
    bool is_wanted = false;
    bool ok = check_file(&checking, path) && begin_campaign(&sending, out_id, &is_wanted);

    if (ok && is_wanted) {
        ok =
            read_rows(&sending, path) && close_campaign(&sending, chunker_chunks(&sending.chunker));
        if (!ok) {
            fprintf(stderr, "campaign %s is incomplete; run this again with --reference %s\n",
                    sending.campaign, new->reference);
        } else {
            fprintf(stderr, "%s rows submitted%s\n",
                    ctl_number(ctl, chunker_rows(&sending.chunker)),
                    sending.bad_rows > 0 ? ", bad ones left out" : "");
        }
    }
    chunker_free(&checking.chunker);
    chunker_free(&sending.chunker);
    str_free(&sending.body);
    return ok;
}

bool send_one(struct ctl *ctl, const struct account *account, const char *phone, const char *text,
              const char *sender, int64_t *out_id, struct err *err)
{
    static const char *columns[] = { "phone" };
    char reference[ID_MESSAGE_BYTES];
    const struct campaign_submitted definition = {
        .title = "Test message",
        .message_template = text,
        .sender_id = sender,
    };
    const struct campaign_new new = { .account = account,
                                      .definition = &definition,
                                      .reference = reference,
                                      .kind = "message",
                                      .lane = LANE_HIGH,
                                      .now_ms = clock_now_ms() };
    struct pass pass = { .ctl = ctl, .new = &new, .err = err, .publishes = true, .ok = true };
    bool is_wanted = false;
    bool ok;

    id_message(reference);
    ok = begin_campaign(&pass, out_id, &is_wanted) && begin_rows(&pass, columns, 1);
    if (ok && !chunker_add(&pass.chunker, &phone)) {
        ok = err_permanent(err, "phone_too_long", "the number is too long");
    }
    if (ok) {
        chunker_flush(&pass.chunker);
        ok = pass.ok && close_campaign(&pass, 1);
    }
    chunker_free(&pass.chunker);
    str_free(&pass.body);
    return ok;
}

/* The contents of a file without its last newline. */
static bool read_file(struct ctl *ctl, const char *option, const char *path, const char **out_text,
                      struct err *err)
{
    char *text = arena_alloc(ctl->arena, TEMPLATE_FILE_MAX + 1);
    FILE *file = fopen(path, "re");
    size_t len;

    if (!file) {
        return ctl_usage(err, "--%s: %.120s: %s", option, path, strerror(errno));
    }
    len = fread(text, 1, TEMPLATE_FILE_MAX, file);
    (void)fclose(file); /* read only */
    len -= len > 0 && text[len - 1] == '\n';
    text[len] = '\0';
    *out_text = text;
    return true;
}

bool send_read_text(struct ctl *ctl, const char *option, const char *file_option,
                    const char **out_text, struct err *err)
{
    const char *given = ctl_option(ctl, option);
    const char *path = ctl_option(ctl, file_option);

    if (given != NULL && path != NULL) {
        return ctl_usage(err, "--%s and --%s: only one of them", option, file_option);
    }
    *out_text = given;
    return path == NULL || read_file(ctl, file_option, path, out_text, err);
}

static bool read_word(const struct ctl *ctl, const char *name, const char *const *words,
                      int fallback, int *out_index, struct err *err)
{
    const char *given = ctl_option(ctl, name);

    if (!given) {
        *out_index = fallback;
        return true;
    }
    for (int i = 0; words[i]; i++) {
        if (strcmp(words[i], given) == 0) {
            *out_index = i;
            return true;
        }
    }
    return ctl_usage(err, "--%s: '%.20s' is not one of %s, %s%s%s", name, given, words[0], words[1],
                     words[2] ? ", " : "", words[2] ? words[2] : "");
}

static bool read_definition(struct ctl *ctl, struct campaign_submitted *out, int *out_lane,
                            struct err *err)
{
    out->title = ctl_option(ctl, "title");
    if (strlen(out->title) == 0 || strlen(out->title) > CAMPAIGN_TITLE_MAX) {
        return ctl_usage(err, "--title: 1 to %d bytes are needed", CAMPAIGN_TITLE_MAX);
    }
    out->missing_default = ctl_option(ctl, "missing-default");
    out->country = ctl_option(ctl, "country");
    out->hold = ctl_option(ctl, "hold") != NULL;
    return read_word(ctl, "priority", lane_words, LANE_NORMAL, out_lane, err) &&
           read_word(ctl, "missing", missing_words, MISSING_BLOCK, &out->missing, err) &&
           ctl_option_time(ctl, "schedule", &out->scheduled_at, err) &&
           ctl_option_time(ctl, "expires", &out->expires_at, err);
}

bool send_campaign(struct ctl *ctl, struct campaign_submitted *definition, struct err *err)
{
    const char *reference = ctl_option(ctl, "reference");
    char fresh[ID_MESSAGE_BYTES];
    char id_text[ID_TEXT_BYTES];
    struct account account;
    int64_t id = 0;
    int lane = LANE_NORMAL;

    if (!read_definition(ctl, definition, &lane, err) || !ctl_account(ctl, &account, err)) {
        return false;
    }
    if (reference && (!*reference || strlen(reference) > CAMPAIGN_REFERENCE_MAX)) {
        return ctl_usage(err, "--reference: 1 to %d bytes are needed", CAMPAIGN_REFERENCE_MAX);
    }
    id_message(fresh);
    if (!send_file(ctl,
                   &(struct campaign_new){ .account = &account,
                                           .definition = definition,
                                           .reference = reference ? reference : fresh,
                                           .kind = "campaign",
                                           .lane = (enum lane)lane,
                                           .now_ms = clock_now_ms() },
                   ctl_option(ctl, "csv"), &id, err)) {
        return false;
    }
    id_format("cmp", id, id_text);
    printf("%s\n", id_text);
    fflush(stdout);
    return !ctl_option(ctl, "watch") || watch(ctl, id, NULL, 0, err);
}

static bool send_texts(struct ctl *ctl, struct err *err)
{
    struct campaign_submitted definition = {
        .sender_id = ctl_option(ctl, "sender"),
        .keep_whitespace = ctl_option(ctl, "keep-whitespace") != NULL,
    };

    if (!send_read_text(ctl, "template", "template-file", &definition.message_template, err)) {
        return false;
    }
    if (definition.message_template == NULL) {
        return ctl_usage(err, "campaign send needs --template TEXT or --template-file FILE");
    }
    return send_campaign(ctl, &definition, err);
}

const struct command campaign_send_command = {
    .name = "campaign send",
    .arguments = "",
    .summary = "Send a campaign to the rows of a CSV file",
    .options =
        (const struct option_def[]){
            SEND_OPTIONS,
            { OPTION_TEXT, "template", "TEXT", "the message, with {{fields}} named by columns" },
            { OPTION_TEXT, "template-file", "FILE", "the message, from a file" },
            { OPTION_TEXT, "sender", "ID", "sender ID; default the account's" },
            { OPTION_FLAG, "keep-whitespace", NULL, "do not fold runs of blanks" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = send_texts,
};
