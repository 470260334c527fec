/*
 * GET /api/plans - what is sold, and what the account has of it
 */
#include "base/clock.h"
#include "payment_view.h"
#include "plan/plan.h"
#include "routes.h"

#define RUNNING_MOST 20

static void put_flag(struct str *out, const char *name, bool flag)
{
    str_printf(out, ",\"%s\":%s", name, flag ? "true" : "false");
}

static void put_features(struct str *out, unsigned features)
{
    str_puts(out, ",\"features\":[");
    plan_features_write(features, "\"", ",", out);
    str_putc(out, ']');
}

static void put_plan(struct str *out, const struct plan *plan)
{
    str_putc(out, '{');
    put_text(out, "code", plan->code);
    put_text(out, "name", plan->name);
    str_printf(out, ",\"price\":\"%lld.%02d\"", (long long)(plan->price_minor / 100),
               (int)(plan->price_minor % 100));
    put_text(out, "currency", plan->currency);
    put_int(out, "tokens", plan->tokens);
    put_int(out, "valid_days", plan->valid_days);
    put_int(out, "tokens_per_minute", plan->tokens_per_minute);
    put_features(out, plan->features);
    put_flag(out, "once", plan->once);
    put_flag(out, "carries_over", plan->carries_over);
    str_putc(out, '}');
}

enum reply get_plans(struct request *req)
{
    const int64_t now_ms = clock_now_ms();
    struct str *out = &req->body_out;
    struct subscription *running;
    struct plan *plans;
    size_t plan_count, running_count;
    unsigned features;
    struct err err;

    if (!plan_list(req->db, PLANS_ON_SALE, req->arena, &plans, &plan_count, &err) ||
        !plan_subscriptions(req->db, req->caller.account_id, now_ms, RUNNING_MOST, req->arena,
                            &running, &running_count, &err) ||
        !plan_features(req->db, req->caller.account_id, now_ms, &features, &err)) {
        return refuse_err(req, &err);
    }
    str_puts(out, "{\"plans\":[");
    for (size_t i = 0; i < plan_count; i++) {
        str_puts(out, i > 0 ? "," : "");
        put_plan(out, &plans[i]);
    }
    str_puts(out, "],\"subscriptions\":[");
    for (size_t i = 0; i < running_count; i++) {
        str_puts(out, i > 0 ? "," : "");
        payment_view_put_subscription(out, &running[i]);
    }
    str_putc(out, ']');
    put_features(out, features);
    str_putc(out, '}');
    return REPLY_OK;
}
