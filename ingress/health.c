/*
 * GET /healthz, /readyz, /metrics - for the machines that watch us
 */
#include "metrics/metrics.h"
#include "routes.h"

enum reply get_healthz(struct request *req)
{
    str_puts(&req->body_out, "{\"status\":\"ok\"}");
    return REPLY_OK;
}

static const struct db_statement ask_version = {
    "ingress_ready",
    "SELECT 1::bigint FROM accounts LIMIT 1",
    0,
};

/* A worker got this far, so the database answers; the statement shows that the tables are there. */
enum reply get_readyz(struct request *req)
{
    char trouble[200];
    struct err err;

    if (!db_run(req->db, &ask_version, NULL, NULL, &err)) {
        return refuse_err(req, &err);
    }
    if (!publish_is_ready(req->app->publisher)) {
        publish_trouble(req->app->publisher, trouble);
        log_warn(&req->log, "not_ready", KV_STR("why", "broker_away"), KV_STR("detail", trouble));
        return refuse(req, REPLY_UNAVAILABLE, "broker_away", NULL, "the broker is away");
    }
    str_puts(&req->body_out, "{\"status\":\"ok\"}");
    return REPLY_OK;
}

enum reply get_metrics(struct request *req)
{
    metrics_write(req->app->metrics, &req->body_out);
    req->type_out = "text/plain; version=0.0.4";
    return REPLY_OK;
}
