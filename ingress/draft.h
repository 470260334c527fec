/*
 * draft - a campaign as a caller describes it, checked and on its way
 *
 *     if (!draft_read(CHANNEL_SMS, json, len, arena, &draft, &err)) return refuse_err(req, &err);
 *     if (!draft_check_columns(&draft, columns, count, arena, &err)) …
 *     return draft_submit(req, &draft, columns, count, &table);   // inline recipients: 202
 *
 * One table of fields for each channel serves the JSON body and the query arguments of an upload.
 */
#ifndef INGRESS_DRAFT_H
#define INGRESS_DRAFT_H

#include "msg/campaign.h"
#include "request.h"

struct draft {
    struct campaign_submitted definition;
    enum lane lane;
    const char *kind; /* "campaign" or "message" */
    bool streamed;    /* its recipients come later, see lease.h */
};

/* POST /api/communications/sms and /voice: the body without its recipients. */
bool draft_read(enum channel channel, const char *json, size_t len, struct arena *arena,
                struct draft *out_draft, struct err *err) __attribute__((warn_unused_result));

/* The same from query arguments. */
bool draft_read_arguments(const struct request *req, enum channel channel, struct draft *out_draft,
                          struct err *err) __attribute__((warn_unused_result));

/* POST /api/messages/send/. */
bool draft_read_message(const char *json, size_t len, struct arena *arena, struct draft *out_draft,
                        struct err *err) __attribute__((warn_unused_result));

/* The templates, as far as there are any, compile and each of their fields is a column; phone is
 * one too. */
bool draft_check_columns(const struct draft *draft, const char *const *columns, size_t count,
                         struct arena *arena, struct err *err) __attribute__((warn_unused_result));

struct draft_made {
    int64_t id;
    char campaign[ID_TEXT_BYTES]; /* "cmp_…": what messages carry */
    char shown[ID_TEXT_BYTES];    /* "msg_…" for a message: what callers see */
};

/* Inserts the row, committed. */
bool draft_create(struct request *req, const struct draft *draft, struct draft_made *out_made,
                  struct err *err) __attribute__((warn_unused_result));

/*
 * Gives up a campaign that did not arrive whole, and its name, so that a repetition makes a new
 * one. *out_done is false when it had got on by itself.
 */
bool draft_abandon(struct db *db, int64_t id, const char *why, bool *out_done, struct err *err);

/* Both of them: the whole of such a request. */
enum reply draft_post(struct request *req, enum channel channel);

/* Row, messages, confirms, answer. */
enum reply draft_submit(struct request *req, const struct draft *draft, const char *const *columns,
                        size_t column_count, const struct table *rows);

/* Writes the 202. bad_rows: lines of an upload that could not be read; first_bad may be NULL. */
enum reply draft_accepted(struct request *req, const struct draft *draft,
                          const struct draft_made *made, int64_t rows, int64_t bad_rows,
                          const struct str *first_bad);

#endif
