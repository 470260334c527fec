/*
 * tell - says what has become of a payment
 */
#include "base/id.h"
#include "settle.h"

bool tell(struct stage *stage, int64_t payment, struct err *err)
{
    char pay[ID_TEXT_BYTES], pur[ID_TEXT_BYTES];
    struct arena *arena = stage_arena(stage);
    struct payment is;

    if (!payment_find(stage_db(stage), 0, payment, arena, &is, err)) {
        return false;
    }
    id_format("pay", is.id, pay);
    id_format("pur", is.purchase, pur);
    stage_emit_as(
        stage, &payment_changed_v1,
        &(struct payment_changed){
            .payment = pay,
            .purchase = pur,
            .account = is.account_slug,
            .reference = is.reference,
            .plan = is.plan,
            .purchase_status = is.purchase_status,
            .status = is.status,
            .reason = is.reason,
            .detail = is.detail,
            .receipt = is.receipt,
            .currency = is.currency,
            .amount_minor = is.amount_minor,
            .tokens = is.tokens,
            .at_ms = is.ended_ms > 0 ? is.ended_ms : stage_now_ms(stage),
        },
        &(struct emission){ .key = arena_printf(arena, "%s %s %s %s %s", pay, is.status, is.reason,
                                                is.receipt, is.purchase_status),
                            .account = is.account_slug });
    return true;
}

void tell_count(struct stage *stage, const char *what, const char *outcome)
{
    metric_add(metrics_counter(
                   stage_metrics(stage), "payments_total",
                   "Pushes, callbacks and queries of payments by their outcome.",
                   arena_printf(stage_arena(stage), "what=\"%s\",outcome=\"%s\"", what, outcome)),
               1);
}

/* Not over what was settled, nor over what nobody can be sure of. */
static const struct db_statement fail_payment = {
    "settle_fail_payment",
    "UPDATE payments SET status = 'failed', reason = $2, detail = left($3, 200),"
    "       next_query_at = NULL, ended_at = $4"
    " WHERE id = $1 AND status IN ('requested', 'pushing', 'push_unknown')",
    4,
};

bool tell_failed(struct stage *stage, int64_t payment, const char *reason, const char *detail,
                 struct err *err)
{
    return db_run(stage_db(stage), &fail_payment,
                  (struct db_value[]){ db_int8(payment), db_text(reason), db_text(detail),
                                       db_time(stage_now_ms(stage)) },
                  NULL, err) &&
           tell(stage, payment, err);
}
