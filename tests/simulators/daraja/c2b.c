/*
 * c2b - POST /mpesa/c2b/v1/registerurl and v2, and the payments they are told of
 */
#include <string.h>

#include "answers.h"

/* The name of the first field that is not good, or NULL. */
static const char *find_invalid(const struct fields *fields)
{
    const char *type = field_text(fields, "ResponseType");
    const char *confirmation = field_text(fields, "ConfirmationURL");
    const char *validation = field_text(fields, "ValidationURL");

    if (!field_is_digits(field_text(fields, "ShortCode"), 5, 7)) {
        return "ShortCode";
    }
    if (strcmp(type, "Completed") != 0 && strcmp(type, "Cancelled") != 0) {
        return "ResponseType";
    }
    if (!field_is_url(confirmation)) {
        return "ConfirmationURL";
    }
    return !field_is_url(validation) ? "ValidationURL" : NULL;
}

static void process(struct sim *sim, struct conn *conn, const struct fields *fields, bool hashed)
{
    struct registration *registration = &sim->registration;
    const char *invalid = find_invalid(fields);
    const char *confirmation = field_text(fields, "ConfirmationURL");
    const char *validation = field_text(fields, "ValidationURL");

    if (invalid != NULL) {
        answer_invalid(sim, conn, invalid);
        return;
    }
    if (strcmp(field_text(fields, "ShortCode"), sim->settings.shortcode) != 0) {
        answer_invalid(sim, conn, "ShortCode");
        return;
    }
    if (registration->done && fault_hits(&sim->faults, FAULT_C2B_REGISTERED_ONCE)) {
        answer_error(sim, conn, 500, "500.003.1001", "Urls are already registered");
        return;
    }
    *registration = (struct registration){ .done = true, .hashed = hashed };
    memcpy(registration->confirmation_url, confirmation, strlen(confirmation) + 1);
    memcpy(registration->validation_url, validation, strlen(validation) + 1);
    str_reset(&sim->reply);
    str_printf(&sim->reply,
               "{\"OriginatorCoversationID\":\"%u-%u-1\",\"ResponseCode\":\"0\","
               "\"ResponseDescription\":\"Success\"}",
               10000 + sim->book.boot % 90000, ++sim->refusals);
    answer_json(sim, conn, 200);
}

static void answer_register(struct sim *sim, struct conn *conn, const struct request *request,
                            bool hashed)
{
    struct fields fields;

    if (!oauth_admits(sim, conn, request)) {
        return;
    }
    if (!fields_open(&fields, request, sim->work)) {
        answer_error(sim, conn, 400, "400.002.05", "Invalid Request Payload");
        return;
    }
    process(sim, conn, &fields, hashed);
    fields_close(&fields);
}

void c2b_register_v1(struct sim *sim, struct conn *conn, struct request *request)
{
    answer_register(sim, conn, request, true);
}

void c2b_register_v2(struct sim *sim, struct conn *conn, struct request *request)
{
    answer_register(sim, conn, request, false);
}

bool c2b_confirm(struct sim *sim, uint32_t payment)
{
    if (sim->registration.done) {
        callbacks_plan_c2b(sim, payment);
    }
    return sim->registration.done;
}

uint32_t c2b_pay(struct sim *sim, int64_t phone, int64_t amount, const char *reference)
{
    struct payment payment = {
        .phone = phone,
        .amount = amount,
        .paid_ms = loop_wall_ms(&sim->loop),
        .push = BOOK_NONE,
    };

    memcpy(payment.reference, reference, strlen(reference) + 1);
    sim->stats.by_hand++;
    sim->stats.amount_paid += amount;
    return book_add_payment(&sim->book, &payment);
}
