#include "lease.h"

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

bool lease_take(struct db *db, int64_t campaign, int64_t ms, struct err *err)
{
    return db_run(db, &take, (struct db_value[]){ db_int8(campaign), db_int8(ms) }, NULL, err);
}

static const struct db_statement renew = {
    "ingress_lease_renew",
    "UPDATE campaigns SET receiving_until = now() + $2::bigint * interval '1 millisecond'"
    " WHERE id = $1 AND status = 'receiving' AND receiving_until IS NOT NULL",
    2,
};

bool lease_renew(struct db *db, int64_t campaign, int64_t ms, struct err *err)
{
    return db_run(db, &renew, (struct db_value[]){ db_int8(campaign), db_int8(ms) }, NULL, err);
}

static const struct db_statement end = {
    "ingress_lease_end",
    "UPDATE campaigns SET receiving_until = NULL WHERE id = $1 AND status <> 'abandoned'",
    1,
};

bool lease_end(struct db *db, int64_t campaign, bool *out_lost, struct err *err)
{
    int64_t rows;

    if (!db_run(db, &end, (struct db_value[]){ db_int8(campaign) }, &rows, err)) {
        return false;
    }
    *out_lost = rows == 0;
    return true;
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
