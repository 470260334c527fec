#include "lease.h"

#include "base/clock.h"
#include "idempotency.h"
#include "server.h"

#define RENEWALS 4 /* while the lease would last */

int64_t lease_ms(const struct settings *settings)
{
    return settings->idle_ms + settings->upload_lease_ms;
}

static const struct db_statement take = {
    "ingress_lease_take",
    "UPDATE campaigns SET receiving_until = now() + $2::bigint * interval '1 millisecond'"
    " WHERE id = $1",
    2,
};

bool lease_take(struct request *req, int64_t campaign, struct err *err)
{
    return db_run(req->db, &take,
                  (struct db_value[]){ db_int8(campaign), db_int8(lease_ms(req->app->settings)) },
                  NULL, err);
}

void lease_begin(struct lease *lease, struct request *req, int64_t campaign)
{
    lease->req = req;
    lease->campaign = campaign;
    lease->renewed_ms = clock_mono_ms();
    atomic_init(&lease->renewing, false);
}

/* Does nothing to a campaign that was given up, or whose upload has come whole meanwhile. */
static const struct db_statement renew = {
    "ingress_lease_renew",
    "UPDATE campaigns SET receiving_until = now() + $2::bigint * interval '1 millisecond'"
    " WHERE id = $1 AND status = 'receiving' AND receiving_until IS NOT NULL",
    2,
};

/* Runs beside the upload: with the worker's connection, not the request's. */
static void renew_job(struct job *job, struct worker *worker)
{
    struct lease *lease = job->context;
    struct request *req = lease->req;
    struct err err;
    struct db *db = worker_db(worker, &err);

    if (db == NULL ||
        !db_run(
            db, &renew,
            (struct db_value[]){ db_int8(lease->campaign), db_int8(lease_ms(req->app->settings)) },
            NULL, &err) ||
        !idempotency_renew(db, req, &err)) {
        log_warn(&req->log, "lease_not_renewed", KV_STR("why", err.what),
                 KV_STR("detail", err.detail));
    }
    atomic_store(&lease->renewing, false);
    request_drop(req);
}

void lease_keep(struct lease *lease)
{
    struct request *req = lease->req;
    int64_t now_ms = clock_mono_ms();

    if (now_ms - lease->renewed_ms < req->app->settings->upload_lease_ms / RENEWALS ||
        atomic_exchange(&lease->renewing, true)) {
        return;
    }
    lease->renewed_ms = now_ms;
    lease->job = (struct job){ .run = renew_job, .context = lease };
    request_hold(req);
    (void)work_submit(req->app->work, &lease->job, true);
}

static const struct db_statement end = {
    "ingress_lease_end",
    "UPDATE campaigns SET receiving_until = NULL WHERE id = $1 AND status <> 'abandoned'",
    1,
};

bool lease_end(struct lease *lease, struct err *err)
{
    int64_t rows;

    if (!db_run(lease->req->db, &end, (struct db_value[]){ db_int8(lease->campaign) }, &rows,
                err)) {
        return false;
    }
    return rows > 0 || err_temporary(err, "upload_abandoned", "it was taken for dead before");
}

static const struct db_statement break_off = {
    "ingress_lease_break",
    "UPDATE campaigns"
    "   SET status = 'abandoned', reference = reference || ':' || id,"
    "       detail = coalesce(detail, 'the upload broke off and was begun anew'),"
    "       completed_at = coalesce(completed_at, now())"
    " WHERE id = $1"
    "   AND (status = 'abandoned' OR (status = 'receiving' AND receiving_until IS NOT NULL))",
    1,
};

bool lease_break(struct db *db, int64_t campaign, bool *out_done, struct err *err)
{
    int64_t rows;

    if (!db_run(db, &break_off, (struct db_value[]){ db_int8(campaign) }, &rows, err)) {
        return false;
    }
    *out_done = rows > 0;
    return true;
}
