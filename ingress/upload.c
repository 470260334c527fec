#include "upload.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/panic.h"
#include "campaign/chunker.h"
#include "campaign/columns.h"
#include "draft.h"
#include "idempotency.h"
#include "lease.h"
#include "msg/campaign.h"
#include "rows.h"
#include "text/csv.h"

/* Chunks at the broker before the client has to wait, and when it may go on. */
#define CHUNKS_HIGH 8
#define CHUNKS_LOW 4
#define CHUNKS_MAX (CHUNKS_HIGH + 16) /* one read of the socket fills a few more */

#define LINE_ARENA_MAX ((size_t)4 << 20)
#define FIRST_BAD_ROWS 10

struct chunk {
    struct chunk *next_free;
    struct upload *upload;
    struct parcel parcel;
    struct str body;
};

/* What the connection is suspended for, if it is. */
enum waiting { WAITING_NOT, WAITING_ROOM, WAITING_CONFIRMS };

struct upload {
    struct request *req;
    struct draft draft;
    struct draft_made made; /* id 0: not made yet */
    struct text_csv *csv;   /* NULL: NDJSON */
    struct rows rows;
    struct arena *line_arena;
    struct str line; /* the piece of a line that has come */
    size_t line_number;
    const char *columns[CAMPAIGN_COLUMNS_MAX];
    size_t column_count;
    int phone;
    struct chunker chunker;
    int64_t bad_rows;
    struct str first_bad;
    bool refused; /* req->reply says why; the rest of the body is only read */
    bool accepted;
    struct job job;

    struct lease lease;

    pthread_mutex_t lock; /* what follows, which the publisher's thread touches */
    struct chunk chunks[CHUNKS_MAX];
    struct chunk *free_chunks;
    int unconfirmed;
    enum waiting waiting;
    enum publish_outcome worst;
};

bool upload_is_streamed(const struct request *req)
{
    return strcmp(req->content_type, "text/csv") == 0 ||
           strcmp(req->content_type, "application/x-ndjson") == 0;
}

/* --- chunks out
 * ------------------------------------------------------------------------------------ */

static void finish_job(struct job *job, struct worker *worker);

static void submit(struct upload *upload, job_fn *run)
{
    upload->job = (struct job){ .run = run, .context = upload };
    (void)work_submit(upload->req->app->work, &upload->job, true);
}

static void on_confirmed(struct parcel *parcel, enum publish_outcome outcome)
{
    struct chunk *chunk = parcel->context;
    struct upload *upload = chunk->upload;
    struct request *req = upload->req;
    enum waiting was;

    pthread_mutex_lock(&upload->lock);
    chunk->next_free = upload->free_chunks;
    upload->free_chunks = chunk;
    upload->unconfirmed--;
    if (outcome != PUBLISH_CONFIRMED) {
        upload->worst = outcome;
    }
    was = upload->waiting;
    if ((was == WAITING_ROOM && upload->unconfirmed <= CHUNKS_LOW) ||
        (was == WAITING_CONFIRMS && upload->unconfirmed == 0)) {
        upload->waiting = WAITING_NOT;
    } else {
        was = WAITING_NOT;
    }
    pthread_mutex_unlock(&upload->lock);
    if (was == WAITING_ROOM) {
        server_resume(req->visit);
    } else if (was == WAITING_CONFIRMS) {
        submit(upload, finish_job);
    }
    request_drop(req);
}

static void on_chunk(void *context, struct chunker *chunker)
{
    struct upload *upload = context;
    struct request *req = upload->req;
    struct chunk *chunk;

    pthread_mutex_lock(&upload->lock);
    chunk = upload->free_chunks;
    if (chunk == NULL) {
        panic("more than %d chunks from one read", CHUNKS_MAX - CHUNKS_HIGH);
    }
    upload->free_chunks = chunk->next_free;
    upload->unconfirmed++;
    pthread_mutex_unlock(&upload->lock);
    chunker_body(chunker, &chunk->body);
    chunk->parcel = (struct parcel){
        .shape = &recipients_submitted_v1,
        .lane = upload->draft.lane,
        .correlation = upload->made.campaign,
        .account = req->caller.account,
        .trace = req->trace,
        .body = chunk->body.bytes,
        .body_len = chunk->body.len,
        .settled = on_confirmed,
        .context = chunk,
    };
    publish_id(upload->made.campaign, recipients_submitted_v1.type, chunker->chunk,
               chunk->parcel.id);
    request_hold(req);
    publish_send(req->app->publisher, &chunk->parcel);
}

/* --- rows in
 * --------------------------------------------------------------------------------------- */

static void refuse_upload(struct upload *upload, const struct err *err)
{
    upload->req->reply = refuse_err(upload->req, err);
    upload->refused = true;
}

static void take_row(struct upload *upload, size_t line, const char *const *cells);

/* A line nobody can read is a recipient all the same: it is counted, and rejected with its reason.
 */
static void take_bad_row(struct upload *upload, size_t line, const struct err *err)
{
    const char *cells[CAMPAIGN_COLUMNS_MAX];
    struct str *out = &upload->first_bad;
    char text[64];

    if (upload->column_count == 0) {
        struct err heading;
        err_permanent(&heading, err->what, "line %zu: %s", line, err->detail);
        refuse_upload(upload, &heading);
        return;
    }
    if (upload->bad_rows++ < FIRST_BAD_ROWS) {
        str_puts(out, out->len > 0 ? ",{" : "{");
        put_int(out, "line", (int64_t)line);
        put_text(out, "code", err->what);
        put_text(out, "detail", err->detail);
        str_putc(out, '}');
    }
    for (size_t i = 0; i < upload->column_count; i++) {
        cells[i] = "";
    }
    snprintf(text, sizeof(text), "line %zu: %.40s", line, err->what);
    cells[upload->phone] = text;
    take_row(upload, line, cells);
}

static void take_row(struct upload *upload, size_t line, const char *const *cells)
{
    struct err err;

    if (chunker_chunks(&upload->chunker) > CAMPAIGN_CHUNKS_MAX) {
        err_permanent(&err, "too_many", "recipients: more than %d messages of them",
                      CAMPAIGN_CHUNKS_MAX);
        refuse_upload(upload, &err);
    } else if (!chunker_add(&upload->chunker, cells)) {
        err_permanent(&err, "row_too_long", "the row is too long for a message");
        take_bad_row(upload, line, &err);
    }
}

/* The columns are known: copied, since their texts belong to the line. */
static void take_heading(struct upload *upload, const char *const *names, size_t count)
{
    struct arena *arena = upload->req->arena;
    struct err err;

    for (size_t i = 0; i < count; i++) {
        if (strlen(names[i]) > CAMPAIGN_COLUMN_MAX) {
            err_permanent(&err, "column_too_long", "column %zu: its name has more than %d bytes",
                          i + 1, CAMPAIGN_COLUMN_MAX);
            refuse_upload(upload, &err);
            return;
        }
        upload->columns[i] = arena_strdup(arena, names[i]);
    }
    upload->column_count = count;
    if (!draft_check_columns(&upload->draft, upload->columns, count, arena, &err)) {
        refuse_upload(upload, &err);
        return;
    }
    upload->phone = campaign_phone_column(upload->columns, count);
    chunker_init(&upload->chunker, upload->columns, count, on_chunk, upload);
    upload->chunker.campaign = upload->made.campaign;
}

static bool on_csv_row(void *context, const struct text_csv_row *row)
{
    struct upload *upload = context;

    if (upload->column_count == 0) {
        take_heading(upload, row->cells, row->count);
    } else {
        take_row(upload, row->line, row->cells);
    }
    return !upload->refused;
}

static bool on_csv_bad_row(void *context, size_t line, const struct err *err)
{
    struct upload *upload = context;

    take_bad_row(upload, line, err);
    return !upload->refused;
}

/* One line of NDJSON; the first names the columns. */
static void take_line(struct upload *upload, const char *line, size_t len)
{
    const char *cells[CAMPAIGN_COLUMNS_MAX];
    struct err err;

    upload->line_number++;
    if (len > 0 && line[len - 1] == '\r') {
        len--;
    }
    if (strspn(line, " \t") >= len) {
        return;
    }
    if (!rows_read_line(&upload->rows, line, len, cells, &err)) {
        take_bad_row(upload, upload->line_number, &err);
    } else {
        if (upload->column_count == 0) {
            take_heading(upload, upload->rows.columns, upload->rows.column_count);
            memcpy(upload->rows.columns, upload->columns, sizeof(upload->rows.columns));
            upload->rows.fixed = true;
        }
        if (!upload->refused) {
            take_row(upload, upload->line_number, cells);
        }
    }
    arena_reset(upload->line_arena);
}

/* Whole lines from data; a piece of one is kept until its rest comes. */
static void feed_lines(struct upload *upload, const char *data, size_t size)
{
    struct str *line = &upload->line;

    while (size > 0 && !upload->refused) {
        const char *newline = memchr(data, '\n', size);
        size_t len = newline != NULL ? (size_t)(newline - data) : size;
        str_append(line, data, len);
        if (line->len > TEXT_CSV_ROW_BYTES_MAX) {
            struct err err;
            err_permanent(&err, "row_too_long", "line %zu: longer than %d bytes",
                          upload->line_number + 1, TEXT_CSV_ROW_BYTES_MAX);
            refuse_upload(upload, &err);
            return;
        }
        if (newline != NULL) {
            take_line(upload, line->bytes, line->len);
            str_reset(line);
            len++;
        }
        data += len;
        size -= len;
    }
}

static void feed(struct upload *upload, const char *data, size_t size)
{
    if (upload->csv == NULL) {
        feed_lines(upload, data, size);
    } else {
        (void)text_csv_feed(upload->csv, data, size); /* what stops it has set refused */
    }
}

/* Line by line until the heading has come, so that no row is taken before. Returns bytes taken. */
static size_t feed_heading(struct upload *upload, const char *data, size_t size)
{
    size_t taken = 0;

    while (taken < size && upload->column_count == 0 && !upload->refused) {
        size_t len = 0;
        while (taken + len < size && data[taken + len] != '\n' && data[taken + len] != '\r') {
            len++;
        }
        len += taken + len < size;
        feed(upload, data + taken, len);
        taken += len;
    }
    return taken;
}

/* --- the worker's part
 * ----------------------------------------------------------------------------- */

static bool make_campaign(struct upload *upload, struct err *err)
{
    struct request *req = upload->req;

    if (upload->made.id != 0) {
        return true;
    }
    req->reply = idempotency_begin(req);
    if (req->reply != REPLY_NONE) {
        upload->refused = true;
        return true;
    }
    if (!draft_create(req, &upload->draft, &upload->made, err)) {
        return false;
    }
    lease_begin(&upload->lease, req, upload->made.id);
    return true;
}

static void create_job(struct job *job, struct worker *worker)
{
    struct upload *upload = job->context;
    struct request *req = upload->req;
    struct err err;

    req->db = worker_db(worker, &err);
    if (req->db == NULL) {
        refuse_upload(upload, &err);
    } else if (!make_campaign(upload, &err)) {
        refuse_upload(upload, &err);
        idempotency_end(req, req->reply);
    }
    req->db = NULL;
    server_resume(req->visit);
}

/* Everything that arrived is confirmed: say that this is all. */
static bool close_campaign(struct upload *upload, struct err *err)
{
    struct request *req = upload->req;
    const struct campaign_closed closed = { .campaign = upload->made.campaign,
                                            .chunks = chunker_chunks(&upload->chunker) };
    struct str body = { 0 };
    struct parcel parcel = {
        .shape = &campaign_closed_v1,
        .lane = upload->draft.lane,
        .correlation = upload->made.campaign,
        .account = req->caller.account,
        .trace = req->trace,
    };

    if (upload->worst != PUBLISH_CONFIRMED) {
        return publish_fail(upload->worst, err);
    }
    shape_write(&campaign_closed_v1, &closed, &body);
    parcel.body = body.bytes;
    parcel.body_len = body.len;
    publish_id(upload->made.campaign, campaign_closed_v1.type, 0, parcel.id);
    bool ok = publish_all(req->app->publisher, &parcel, 1, err);
    str_free(&body);
    return ok;
}

static void finish_job(struct job *job, struct worker *worker)
{
    struct upload *upload = job->context;
    struct request *req = upload->req;
    struct err err;

    req->db = worker_db(worker, &err);
    if (req->db == NULL || !close_campaign(upload, &err) || !lease_end(&upload->lease, &err)) {
        refuse_upload(upload, &err);
    } else {
        req->reply =
            draft_accepted(req, &upload->draft, &upload->made, chunker_rows(&upload->chunker),
                           upload->bad_rows, &upload->first_bad);
        upload->accepted = true;
    }
    if (req->db != NULL) {
        idempotency_end(req, req->reply);
    }
    req->db = NULL;
    server_resume(req->visit);
}

static void abandon_job(struct job *job, struct worker *worker)
{
    struct upload *upload = job->context;
    struct request *req = upload->req;
    struct err err;
    bool done = false;

    req->db = worker_db(worker, &err);
    if (req->db == NULL ||
        !draft_abandon(req->db, upload->made.id, "the upload broke off", &done, &err)) {
        log_error(&req->log, "campaign_not_abandoned", KV_STR("campaign", upload->made.campaign),
                  KV_STR("why", err.what), KV_STR("detail", err.detail));
    } else {
        idempotency_end(req, req->reply != REPLY_NONE ? req->reply : REPLY_UNAVAILABLE);
        log_info(&req->log, "campaign_abandoned", KV_STR("campaign", upload->made.campaign));
    }
    req->db = NULL;
    request_drop(req);
}

/* --- the connection's part
 * ------------------------------------------------------------------------- */

enum reply upload_begin(struct request *req)
{
    struct upload *upload = arena_alloc(req->arena, sizeof(*upload));
    struct err err;

    if (!draft_read_arguments(req, req->route->channel, &upload->draft, &err)) {
        return refuse_err(req, &err);
    }
    upload->req = req;
    upload->line_arena = arena_create(LINE_ARENA_MAX);
    upload->worst = PUBLISH_CONFIRMED;
    rows_init(&upload->rows, upload->line_arena);
    if (strcmp(req->content_type, "text/csv") == 0) {
        upload->csv = text_csv_create(req->arena, on_csv_row, on_csv_bad_row, upload);
    }
    pthread_mutex_init(&upload->lock, NULL);
    for (int i = 0; i < CHUNKS_MAX; i++) {
        upload->chunks[i].upload = upload;
        upload->chunks[i].next_free = upload->free_chunks;
        upload->free_chunks = &upload->chunks[i];
    }
    req->upload = upload;
    return REPLY_NONE;
}

/* Suspends until there is room again, if there is none. */
static void wait_for_room(struct upload *upload)
{
    pthread_mutex_lock(&upload->lock);
    if (upload->worst != PUBLISH_CONFIRMED && !upload->refused) {
        struct err err;
        publish_fail(upload->worst, &err);
        refuse_upload(upload, &err);
    } else if (upload->unconfirmed >= CHUNKS_HIGH) {
        upload->waiting = WAITING_ROOM;
        server_suspend(upload->req->visit);
    }
    pthread_mutex_unlock(&upload->lock);
}

enum MHD_Result upload_feed(struct request *req, const char *data, size_t *size)
{
    struct upload *upload = req->upload;

    if (upload->column_count == 0) {
        size_t taken = feed_heading(upload, data, *size);
        if (upload->refused) {
            *size = 0;
        } else {
            *size -= taken;
            if (upload->column_count > 0) {
                server_suspend(req->visit);
                submit(upload, create_job);
            }
        }
        return MHD_YES;
    }
    feed(upload, data, *size);
    *size = 0;
    if (!upload->refused) {
        lease_keep(&upload->lease);
        wait_for_room(upload);
    }
    return MHD_YES;
}

static void finish_rows(struct upload *upload)
{
    struct err err;

    if (upload->csv != NULL) {
        (void)text_csv_finish(upload->csv);
    } else if (upload->line.len > 0) {
        take_line(upload, upload->line.bytes, upload->line.len);
    }
    if (!upload->refused && (upload->column_count == 0 || chunker_rows(&upload->chunker) == 0)) {
        err_permanent(&err, "no_recipients", "recipients: the file has no rows");
        refuse_upload(upload, &err);
    }
}

/*
 * The last rows, and finish_job once all is confirmed. Whoever calls it touches the upload no more:
 * another worker may be finishing it, and a finished one is freed.
 */
static void flush_and_finish(struct upload *upload)
{
    bool none;

    chunker_flush(&upload->chunker);
    pthread_mutex_lock(&upload->lock);
    none = upload->unconfirmed == 0;
    upload->waiting = none ? WAITING_NOT : WAITING_CONFIRMS;
    pthread_mutex_unlock(&upload->lock);
    if (none) {
        submit(upload, finish_job);
    }
}

/* The only line of a file without a newline: the campaign is made before the rows are flushed. */
static void create_and_finish_job(struct job *job, struct worker *worker)
{
    struct upload *upload = job->context;
    struct request *req = upload->req;
    struct err err;

    req->db = worker_db(worker, &err);
    if (req->db == NULL || !make_campaign(upload, &err)) {
        refuse_upload(upload, &err);
    }
    req->db = NULL;
    if (upload->refused) {
        server_resume(req->visit);
        return;
    }
    flush_and_finish(upload);
}

bool upload_finish(struct request *req)
{
    struct upload *upload = req->upload;

    if (!upload->refused) {
        finish_rows(upload);
    }
    if (upload->refused) {
        return false;
    }
    server_suspend(req->visit);
    if (upload->made.id == 0) {
        submit(upload, create_and_finish_job);
        return true;
    }
    flush_and_finish(upload);
    return true;
}

void upload_end(struct request *req)
{
    struct upload *upload = req->upload;

    if (upload->made.id != 0 && !upload->accepted) {
        request_hold(req);
        submit(upload, abandon_job);
    }
}

void upload_free(struct upload *upload)
{
    for (int i = 0; i < CHUNKS_MAX; i++) {
        str_free(&upload->chunks[i].body);
    }
    chunker_free(&upload->chunker);
    str_free(&upload->line);
    str_free(&upload->first_bad);
    arena_destroy(upload->line_arena);
    pthread_mutex_destroy(&upload->lock);
}
