/*
 * reverse - POST /mpesa/reversal/v1/request
 *
 * The request is only acknowledged; whether the money went back is told by the Result.
 */
#include <string.h>

#include "answers.h"
#include "bodies.h"

#define REMARKS_MIN 2
#define REMARKS_MAX 100

/* The name of the first field that is not good, or NULL. */
static const char *find_invalid(const struct sim *sim, const struct fields *fields)
{
    size_t remarks = strlen(field_text(fields, "Remarks"));

    if (*field_text(fields, "Initiator") == '\0') {
        return "Initiator";
    }
    if (*field_text(fields, "SecurityCredential") == '\0') {
        return "SecurityCredential";
    }
    if (strcmp(field_text(fields, "CommandID"), "TransactionReversal") != 0) {
        return "CommandID";
    }
    if (*field_text(fields, "TransactionID") == '\0') {
        return "TransactionID";
    }
    if (field_amount(field_text(fields, "Amount")) == 0) {
        return "Amount";
    }
    if (strcmp(field_text(fields, "ReceiverParty"), sim->settings.shortcode) != 0) {
        return "ReceiverParty";
    }
    if (strcmp(field_text(fields, "RecieverIdentifierType"), "11") != 0) {
        return "RecieverIdentifierType";
    }
    if (!field_is_url(field_text(fields, "ResultURL"))) {
        return "ResultURL";
    }
    if (!field_is_url(field_text(fields, "QueueTimeOutURL"))) {
        return "QueueTimeOutURL";
    }
    return remarks < REMARKS_MIN || remarks > REMARKS_MAX ? "Remarks" : NULL;
}

static enum result judge(struct sim *sim, const char *initiator, uint32_t payment, int64_t amount)
{
    if (strcmp(initiator, sim->settings.initiator) != 0) {
        return RESULT_WRONG_PIN; /* 2001: the initiator information is invalid */
    }
    if (payment == BOOK_NONE) {
        return RESULT_BAD_RECEIPT;
    }
    if (sim->book.payments[payment].reversed) {
        return RESULT_REVERSED_ALREADY;
    }
    if (amount > sim->book.payments[payment].amount ||
        fault_hits(&sim->faults, FAULT_REVERSAL_INSUFFICIENT)) {
        return RESULT_INSUFFICIENT;
    }
    return RESULT_PAID;
}

static void accept_reversal(struct sim *sim, struct conn *conn, const struct fields *fields)
{
    struct reversal reversal = {
        .amount = field_amount(field_text(fields, "Amount")),
        .at_ms = loop_wall_ms(&sim->loop),
        .result_url = field_text(fields, "ResultURL"),
        .timeout_url = field_text(fields, "QueueTimeOutURL"),
    };
    char originator[BOOK_ID_BYTES];
    char conversation[BOOK_ID_BYTES];
    enum result result;
    uint32_t index;

    reversal.payment = book_find_receipt(&sim->book, field_text(fields, "TransactionID"));
    result = judge(sim, field_text(fields, "Initiator"), reversal.payment, reversal.amount);
    reversal.result = (uint8_t)result;
    if (result == RESULT_PAID) {
        sim->book.payments[reversal.payment].reversed = true;
        sim->book.balance -= reversal.amount;
        sim->stats.reversals++;
        sim->stats.amount_reversed += reversal.amount;
    }
    index = book_add_reversal(&sim->book, &reversal);
    callbacks_plan_reversal(sim, index);
    if (fault_hits(&sim->faults, FAULT_REVERSAL_CLOSE_ACCEPTED)) {
        answer_drop(sim, conn);
        return;
    }
    body_reversal_ids(sim, index, originator, conversation);
    str_reset(&sim->reply);
    str_printf(&sim->reply,
               "{\"OriginatorConversationID\":\"%s\",\"ConversationID\":\"%s\",\"ResponseCode\":"
               "\"0\",\"ResponseDescription\":\"Accept the service request successfully.\"}",
               originator, conversation);
    answer_json(sim, conn, 200);
}

void reverse_request(struct sim *sim, struct conn *conn, struct request *request)
{
    struct fields fields;
    const char *invalid;

    if (fault_hits(&sim->faults, FAULT_REVERSAL_UNAVAILABLE_503)) {
        answer_unavailable(sim, conn);
        return;
    }
    if (!oauth_admits(sim, conn, request)) {
        return;
    }
    if (!fields_open(&fields, request, sim->work)) {
        answer_error(sim, conn, 400, "400.002.05", "Invalid Request Payload");
        return;
    }
    invalid = find_invalid(sim, &fields);
    if (invalid != NULL) {
        answer_invalid(sim, conn, invalid);
    } else if (!book_has_room(&sim->book)) {
        answer_error(sim, conn, 503, "500.003.02",
                     "The simulator is full: raise SIM_CAPACITY or reset it");
    } else {
        accept_reversal(sim, conn, &fields);
    }
    fields_close(&fields);
}
