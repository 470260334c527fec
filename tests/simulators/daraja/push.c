/*
 * push - POST /mpesa/stkpush/v1/processrequest
 *
 * Order: the gateway's faults; the token; each field; the merchant and his password; the faults of
 * the service; acceptance; then the faults that strike after it. What the payer may not do (rule
 * limits, wrong PartyB) is accepted and ends in a callback, as the provider documents.
 */
#include <stdlib.h>
#include <string.h>

#include "answers.h"
#include "eat.h"

#define REFERENCE_MAX 12
#define DESCRIPTION_MAX 13

/* What strikes a push that was accepted. */
struct aftermath {
    bool withhold, slow, close, error, unavailable, html, empty, truncated, early;
};

/* A push as asked; amount and phone are 0 when they are not good. */
struct order {
    int64_t amount, phone;
    const char *party_b, *url, *reference;
};

/* The faults of the gateway, which knows nothing of the request; true when one struck. */
static bool fails_at_gateway(struct sim *sim, struct conn *conn, const struct request *request)
{
    struct faults *faults = &sim->faults;
    int64_t per_s = faults->numbers[NUMBER_PUSH_PER_S];

    if (request->reused && fault_hits(faults, FAULT_PUSH_CLOSE_REUSED)) {
        answer_drop(sim, conn);
    } else if (fault_hits(faults, FAULT_PUSH_UNAVAILABLE_503)) {
        answer_unavailable(sim, conn);
    } else if (fault_hits(faults, FAULT_PUSH_SPIKE_ARREST)) {
        answer_spike(sim, conn, per_s > 0 ? per_s : 10, 1000);
    } else if (fault_hits(faults, FAULT_PUSH_SPIKE_ARREST_500) ||
               !limiter_admits(&sim->push_limiter, sim->loop.now_ms, per_s, 1000, per_s)) {
        answer_error(sim, conn, 500, "500.003.02", "Error Occurred: Spike Arrest Violation");
    } else if (fault_hits(faults, FAULT_PUSH_QUOTA)) {
        answer_error(sim, conn, 500, "500.003.03", "Error Occurred: Quota Violation");
    } else {
        return false;
    }
    return true;
}

/* The faults of the service behind a good request; true when one struck. */
static bool fails_at_service(struct sim *sim, struct conn *conn, int64_t phone)
{
    struct faults *faults = &sim->faults;
    uint32_t last = book_last_push(&sim->book, phone);
    bool open = last != BOOK_NONE && !sim->book.pushes[last].ended;

    if (fault_hits(faults, FAULT_PUSH_LOCKED) ||
        (open && fault_hits(faults, FAULT_LOCK_SUBSCRIBER))) {
        answer_error(sim, conn, 500, "500.001.1001",
                     "Unable to lock subscriber, a transaction is already in process for the "
                     "current subscriber");
    } else if (fault_hits(faults, FAULT_PUSH_BUSY)) {
        answer_error(sim, conn, 500, "500.003.02",
                     "System is busy. Please try again in few "
                     "minutes.");
    } else if (fault_hits(faults, FAULT_PUSH_ERROR_500)) {
        answer_error(sim, conn, 500, "500.003.1001", "Internal Server Error");
    } else {
        return false;
    }
    return true;
}

/* The documentation forbids these words in a callback URL, in any case. */
static bool has_bad_word(const char *url)
{
    static const char *const words[] = { "m-pesa", "mpesa", "safaricom", "exe",
                                         "cmd",    "sql",   "query",     "ngrok" };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasestr(url, words[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static bool is_good_url(struct sim *sim, const char *url)
{
    return field_is_url(url) &&
           !(fault_hits(&sim->faults, FAULT_URL_HTTPS_ONLY) && strncmp(url, "https:", 6) != 0) &&
           !(fault_hits(&sim->faults, FAULT_URL_WORDS) && has_bad_word(url));
}

static bool is_good_time(const struct sim *sim, const char *timestamp)
{
    int64_t skew_ms = sim->faults.numbers[NUMBER_TIMESTAMP_SKEW_S] * 1000;
    int64_t at_ms;

    return eat_parse(timestamp, &at_ms) &&
           (skew_ms == 0 || llabs(at_ms - loop_wall_ms(&sim->loop)) <= skew_ms);
}

static bool is_reference(const char *text)
{
    size_t len = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");

    return text[len] == '\0' && len >= 1 && len <= REFERENCE_MAX;
}

/* The name of the first field that is not good, or NULL. */
static const char *find_invalid(struct sim *sim, const struct fields *fields,
                                struct order *out_order)
{
    const char *type = field_text(fields, "TransactionType");

    *out_order = (struct order){
        .amount = field_amount(field_text(fields, "Amount")),
        .phone = field_phone(field_text(fields, "PhoneNumber")),
        .party_b = field_text(fields, "PartyB"),
        .url = field_text(fields, "CallBackURL"),
        .reference = field_text(fields, "AccountReference"),
    };
    if (!field_is_digits(field_text(fields, "BusinessShortCode"), 5, 7)) {
        return "BusinessShortCode";
    }
    if (*field_text(fields, "Password") == '\0') {
        return "Password";
    }
    if (!is_good_time(sim, field_text(fields, "Timestamp"))) {
        return "Timestamp";
    }
    if (strcmp(type, "CustomerPayBillOnline") != 0 && strcmp(type, "CustomerBuyGoodsOnline") != 0) {
        return "TransactionType";
    }
    if (out_order->amount == 0) {
        return "Amount";
    }
    if (field_phone(field_text(fields, "PartyA")) == 0) {
        return "PartyA";
    }
    if (!field_is_digits(out_order->party_b, 5, 7)) {
        return "PartyB";
    }
    if (out_order->phone == 0) {
        return "PhoneNumber";
    }
    if (!is_good_url(sim, out_order->url)) {
        return "CallBackURL";
    }
    if (!is_reference(out_order->reference)) {
        return "AccountReference";
    }
    return strlen(field_text(fields, "TransactionDesc")) > DESCRIPTION_MAX ? "TransactionDesc"
                                                                           : NULL;
}

bool push_knows_merchant(struct sim *sim, struct conn *conn, const struct fields *fields)
{
    const struct settings *settings = &sim->settings;
    const char *password = field_decode(sim->work, field_text(fields, "Password"));
    const char *want = arena_printf(sim->work, "%s%s%s", settings->shortcode, settings->passkey,
                                    field_text(fields, "Timestamp"));

    if (strcmp(field_text(fields, "BusinessShortCode"), settings->shortcode) != 0) {
        answer_error(sim, conn, 500, "500.001.1001", "Merchant does not exist");
        return false;
    }
    if (password == NULL || strcmp(password, want) != 0) {
        answer_error(sim, conn, 500, "500.001.1001", "Wrong credentials");
        return false;
    }
    return true;
}

/* Was the same amount asked of the same customer a moment ago? */
static bool is_duplicate(const struct sim *sim, const struct order *order)
{
    const struct book *book = &sim->book;
    int64_t since_ms = loop_wall_ms(&sim->loop) - sim->faults.numbers[NUMBER_DUPLICATE_MS];
    uint32_t index = book_last_push(book, order->phone);

    while (index != BOOK_NONE && book->pushes[index].accepted_ms > since_ms) {
        if (book->pushes[index].amount == order->amount) {
            return true;
        }
        index = book->pushes[index].previous;
    }
    return false;
}

/* What ends the push whatever the payer does; RESULT_PAID: nothing. */
static enum result find_refusal(struct sim *sim, const struct fields *fields,
                                const struct order *order)
{
    const struct settings *settings = &sim->settings;
    bool is_till = *settings->till != '\0';
    const char *party = is_till ? settings->till : settings->shortcode;
    const char *type = is_till ? "CustomerBuyGoodsOnline" : "CustomerPayBillOnline";

    if (strcmp(order->party_b, party) != 0 ||
        strcmp(field_text(fields, "TransactionType"), type) != 0) {
        return RESULT_NOT_PERMITTED;
    }
    if (order->amount > sim->faults.numbers[NUMBER_MAX_AMOUNT]) {
        return RESULT_OVER_MAXIMUM;
    }
    if (sim->faults.shares[FAULT_DUPLICATE_17].ppm > 0 && is_duplicate(sim, order) &&
        fault_hits(&sim->faults, FAULT_DUPLICATE_17)) {
        return RESULT_RULE_LIMITED;
    }
    return RESULT_PAID;
}

static enum fault find_fate(struct sim *sim, int64_t phone)
{
    int fate = fault_forced(&sim->faults, phone);

    if (fate == FAULT_COUNT) {
        fate = fault_of_number(&sim->faults, FAULT_CANCELS, FAULT_PAYS_AFTER_FAILURE, phone);
    }
    return (enum fault)fate;
}

static struct aftermath draw_aftermath(struct faults *faults)
{
    return (struct aftermath){
        .withhold = fault_hits(faults, FAULT_PUSH_WITHHOLD),
        .slow = fault_hits(faults, FAULT_PUSH_SLOW),
        .close = fault_hits(faults, FAULT_PUSH_CLOSE_ACCEPTED),
        .error = fault_hits(faults, FAULT_PUSH_ERROR_500_ACCEPTED),
        .unavailable = fault_hits(faults, FAULT_PUSH_UNAVAILABLE_503_ACCEPTED),
        .html = fault_hits(faults, FAULT_PUSH_HTML),
        .empty = fault_hits(faults, FAULT_PUSH_EMPTY),
        .truncated = fault_hits(faults, FAULT_PUSH_TRUNCATED),
        .early = fault_hits(faults, FAULT_CALLBACK_EARLY),
    };
}

static void answer_accepted(struct sim *sim, struct conn *conn, uint32_t index,
                            const struct aftermath *after)
{
    const int64_t *numbers = sim->faults.numbers;
    char checkout[BOOK_ID_BYTES];
    char merchant[BOOK_ID_BYTES];

    if (after->close) {
        answer_drop(sim, conn);
        return;
    }
    if (after->error) {
        answer_error(sim, conn, 500, "500.003.1001", "Internal Server Error");
        return;
    }
    if (after->unavailable) {
        answer_unavailable(sim, conn);
        return;
    }
    if (after->html) {
        answer_html(sim, conn);
        return;
    }
    if (after->empty) {
        answer_empty(sim, conn);
        return;
    }
    book_checkout_id(&sim->book, index, checkout);
    book_merchant_id(&sim->book, index, merchant);
    str_reset(&sim->reply);
    str_printf(&sim->reply,
               "{\"MerchantRequestID\":\"%s\",\"CheckoutRequestID\":\"%s\",\"ResponseCode\":\"0\","
               "\"ResponseDescription\":\"Success. Request accepted for processing\","
               "\"CustomerMessage\":\"Success. Request accepted for processing\"}",
               merchant, checkout);
    answer_send(sim, conn,
                (struct answer){
                    .status = 200,
                    .type = "application/json;charset=UTF-8",
                    .body = sim->reply.bytes,
                    .len = sim->reply.len,
                    .cut = after->truncated ? sim->reply.len / 2 : 0,
                    .delay_ms = (after->withhold ? numbers[NUMBER_WITHHOLD_MS] : 0) +
                                (after->slow ? numbers[NUMBER_SLOW_MS] : 0) +
                                (after->early ? numbers[NUMBER_EARLY_MS] : 0),
                });
}

static void accept_push(struct sim *sim, struct conn *conn, const struct fields *fields,
                        const struct order *order)
{
    struct aftermath after = draw_aftermath(&sim->faults);
    struct push push = {
        .phone = order->phone,
        .amount = order->amount,
        .accepted_ms = loop_wall_ms(&sim->loop),
        .callback_url = order->url,
        .refusal = (uint8_t)find_refusal(sim, fields, order),
        .fate = (uint8_t)find_fate(sim, order->phone),
    };
    uint32_t index;

    memcpy(push.reference, order->reference, strlen(order->reference) + 1);
    index = book_add_push(&sim->book, &push);
    sim->stats.pushes++;
    sim->stats.prompts += push.refusal == RESULT_PAID;
    if (sim->stats.pushes == 1) {
        sim->stats.first_push_ms = push.accepted_ms;
    }
    sim->stats.last_push_ms = push.accepted_ms;
    payer_prompt(sim, index, after.early);
    answer_accepted(sim, conn, index, &after);
}

/* Answers, and accepts what is to be accepted. */
static void process(struct sim *sim, struct conn *conn, const struct fields *fields)
{
    struct order order;
    const char *invalid = find_invalid(sim, fields, &order);

    if (invalid != NULL) {
        answer_invalid(sim, conn, invalid);
    } else if (!push_knows_merchant(sim, conn, fields) ||
               fails_at_service(sim, conn, order.phone)) {
        return; /* answered there */
    } else if (!book_has_room(&sim->book)) {
        answer_error(sim, conn, 503, "500.003.02",
                     "The simulator is full: raise SIM_CAPACITY or reset it");
    } else {
        accept_push(sim, conn, fields, &order);
    }
}

void push_process(struct sim *sim, struct conn *conn, struct request *request)
{
    uint64_t accepted = sim->stats.pushes;
    struct fields fields;

    if (!fails_at_gateway(sim, conn, request) && oauth_admits(sim, conn, request)) {
        if (strncmp(request->type, "application/json", 16) != 0) {
            answer_invalid(sim, conn, "BusinessShortCode"); /* what the provider says then */
        } else if (!fields_open(&fields, request, sim->work)) {
            answer_error(sim, conn, 400, "400.002.05", "Invalid Request Payload");
        } else {
            process(sim, conn, &fields);
            fields_close(&fields);
        }
    }
    sim->stats.pushes_refused += sim->stats.pushes == accepted;
}
