/*
 * query - POST /mpesa/stkpushquery/v1/query
 */
#include <string.h>

#include "answers.h"

#define PERIOD_MS 60000

static bool fails_at_gateway(struct sim *sim, struct conn *conn)
{
    struct faults *faults = &sim->faults;
    int64_t per_minute = faults->numbers[NUMBER_QUERY_PER_MINUTE];

    if (fault_hits(faults, FAULT_QUERY_UNAVAILABLE_503)) {
        answer_unavailable(sim, conn);
        return true;
    }
    if (fault_hits(faults, FAULT_QUERY_SPIKE_ARREST) ||
        !limiter_admits(&sim->query_limiter, sim->loop.now_ms, per_minute, PERIOD_MS,
                        faults->numbers[NUMBER_QUERY_BURST])) {
        sim->stats.queries_limited++;
        answer_spike(sim, conn, per_minute > 0 ? per_minute : 5, PERIOD_MS);
        return true;
    }
    if (fault_hits(faults, FAULT_QUERY_HTML)) {
        answer_html(sim, conn);
        return true;
    }
    if (fault_hits(faults, FAULT_QUERY_EMPTY)) {
        answer_empty(sim, conn);
        return true;
    }
    return false;
}

static void answer_unknown(struct sim *sim, struct conn *conn)
{
    if (fault_hits(&sim->faults, FAULT_QUERY_UNKNOWN_400)) {
        answer_invalid(sim, conn, "CheckoutRequestID");
    } else {
        answer_error(sim, conn, 500, "500.001.1001", "The transaction does not Exist");
    }
}

static void answer_result(struct sim *sim, struct conn *conn, uint32_t index, enum result result)
{
    bool slow = fault_hits(&sim->faults, FAULT_QUERY_SLOW);
    char checkout[BOOK_ID_BYTES];
    char merchant[BOOK_ID_BYTES];

    book_checkout_id(&sim->book, index, checkout);
    book_merchant_id(&sim->book, index, merchant);
    str_reset(&sim->reply);
    str_printf(&sim->reply,
               "{\"ResponseCode\":\"0\",\"ResponseDescription\":\"The service request has been "
               "accepted successsfully\",\"MerchantRequestID\":\"%s\",\"CheckoutRequestID\":\"%s\","
               "\"ResultCode\":\"%s\",\"ResultDesc\":\"%s\"}",
               merchant, checkout, result_code(result), result_words(result, true));
    answer_send(sim, conn,
                (struct answer){ .status = 200,
                                 .type = "application/json;charset=UTF-8",
                                 .body = sim->reply.bytes,
                                 .len = sim->reply.len,
                                 .delay_ms = slow ? sim->faults.numbers[NUMBER_SLOW_MS] : 0 });
}

static void answer_open(struct sim *sim, struct conn *conn, uint32_t index)
{
    struct faults *faults = &sim->faults;
    int64_t age_ms = loop_wall_ms(&sim->loop) - sim->book.pushes[index].accepted_ms;

    if (age_ms < faults->numbers[NUMBER_QUERY_EARLY_MS]) {
        answer_invalid(sim, conn, "CheckoutRequestID");
    } else if (fault_hits(faults, FAULT_QUERY_PROCESSING_500)) {
        answer_error(sim, conn, 500, "500.001.1001", "The transaction is being processed");
    } else if (fault_hits(faults, FAULT_QUERY_PROCESSING_200)) {
        answer_error(sim, conn, 200, "500.001.1001", "");
    } else {
        answer_result(sim, conn, index, RESULT_PROCESSING);
    }
}

static void process(struct sim *sim, struct conn *conn, const struct fields *fields)
{
    const char *checkout = field_text(fields, "CheckoutRequestID");
    uint32_t index = book_find_checkout(&sim->book, checkout);

    if (!field_is_digits(field_text(fields, "BusinessShortCode"), 5, 7)) {
        answer_invalid(sim, conn, "BusinessShortCode");
    } else if (*checkout == '\0') {
        answer_invalid(sim, conn, "CheckoutRequestID");
    } else if (!push_knows_merchant(sim, conn, fields)) {
        return; /* answered there */
    } else if (index == BOOK_NONE) {
        answer_unknown(sim, conn);
    } else if (!sim->book.pushes[index].ended) {
        answer_open(sim, conn, index);
    } else if (fault_hits(&sim->faults, FAULT_QUERY_HICCUP)) {
        answer_error(sim, conn, 500, "500.001.1001", "Internal Server Error");
    } else {
        answer_result(sim, conn, index, (enum result)sim->book.pushes[index].result);
    }
}

void query_push(struct sim *sim, struct conn *conn, struct request *request)
{
    struct fields fields;

    sim->stats.queries++;
    if (!oauth_admits(sim, conn, request) || fails_at_gateway(sim, conn)) {
        return;
    }
    if (strncmp(request->type, "application/json", 16) != 0) {
        answer_invalid(sim, conn, "BusinessShortCode");
    } else if (!fields_open(&fields, request, sim->work)) {
        answer_error(sim, conn, 400, "400.002.05", "Invalid Request Payload");
    } else {
        process(sim, conn, &fields);
        fields_close(&fields);
    }
}
