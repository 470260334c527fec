/*
 * settle-payment - the payer is asked, and what the provider says of the money is believed once
 *
 * Reads   payment.requested.v1, payment.reported.v1
 * Emits   payment.changed.v1; payment.requested.v1 for a push that is to be tried again
 * Calls   POST $MPESA_BASE_URL/mpesa/stkpush/v1/processrequest, …/stkpushquery/v1/query and
 *         …/reversal/v1/request
 * Tables  payments, payment_callbacks, payment_pace, payment_reversals, daraja_tokens;
 *         lib/payment's and the ledger's
 *
 * A push has no idempotency key and a lost answer takes the only id along. So the payment is
 * claimed in a committed transaction before the push leaves, and one that is found claimed is never
 * pushed again: its callback, which comes to an address that only it has, or the confirmation of
 * the money itself says what became of it.
 *
 * Callbacks are kept as they came, once, and settled however often they come: the receipt decides
 * (payment/payment.h). Where none comes the tick asks, all workers together so often a minute.
 *
 * Retried   a payment whose row is not visible yet; what the database or the token's absence asks.
 * Rejected  a message that names no payment, a provider or an address that is not ours.
 */
#include <string.h>

#include "settle.h"

static const struct conf_item conf_items[] = {
    DARAJA_CONF_ITEMS(struct settle_conf, mpesa.),
    CONF_SECRET(struct settle_conf, c2b_token, "MPESA_C2B_TOKEN", "",
                "Last part of the addresses registered for C2B, hexadecimal; empty: confirmations "
                "are kept and not believed."),
    CONF_MS(struct settle_conf, push_within_ms, "MPESA_PUSH_WITHIN", "3m", 1000, 540000,
            "How long after it was asked for a payer may still be prompted."),
    CONF_MS(struct settle_conf, query_after_ms, "MPESA_QUERY_AFTER", "25s", 1000, 600000,
            "How long a callback is waited for before M-Pesa is asked; then twice as long each "
            "time."),
    CONF_INT(struct settle_conf, query_per_minute, "MPESA_QUERY_PER_MINUTE", "5", 1, 600,
             "How often M-Pesa may be asked, by all workers together."),
    CONF_MS(struct settle_conf, credit_without_receipt_ms, "MPESA_CREDIT_WITHOUT_RECEIPT", "2m",
            1000, 86400000,
            "How long a receipt is waited for after M-Pesa called a payment paid; then it is "
            "credited without."),
    CONF_MS(struct settle_conf, give_up_ms, "MPESA_GIVE_UP", "10m", 10000, 86400000,
            "How long after its push a payment is asked about; late word still counts."),
    CONF_END,
};

static bool start(struct stage *stage, struct err *err)
{
    const struct settle_conf *conf = stage_conf(stage);

    return daraja_conf_check(&conf->mpesa, err);
}

static enum verdict handle(struct stage *stage, const struct message *in)
{
    return message_is(in, &payment_requested_v1) ? push_handle(stage, in)
                                                 : reported_handle(stage, in);
}

static const struct stage_def settle_payment_stage = {
    .name = "settle-payment",
    .summary = "ask the payer, and credit what was paid exactly once",
    .reads = (const struct shape *const[]){ &payment_requested_v1, &payment_reported_v1, NULL },
    .emits = (const struct shape *const[]){ &payment_changed_v1, &payment_requested_v1, NULL },
    .conf = conf_items,
    .conf_size = sizeof(struct settle_conf),
    .deadline_ms = 55000, /* a token, a push, and both again when the token was refused */
    .workers_env = "PAYMENT_WORKER_CONCURRENCY",
    .workers_fallback = "3", /* a push takes up to MPESA_TIMEOUT, and callbacks shall not wait */
    .prefetch = 1,
    .uses_http = true,
    .start = start,
    .handle = handle,
    .tick = query_tick,
};

int main(int argc, char **argv)
{
    return stage_main(&settle_payment_stage, argc, argv);
}
