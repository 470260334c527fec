/*
 * answers - the shapes in which M-Pesa answers and refuses
 */
#include "answers.h"

#include <string.h>

#include "engine/quote.h"

#define JSON "application/json;charset=UTF-8"
#define HTML "text/html"

static const char page[] =
    "<html style=\"height:100%\"><head><META NAME=\"ROBOTS\" CONTENT=\"NOINDEX, NOFOLLOW\"><meta "
    "name=\"format-detection\" content=\"telephone=no\"></head><body "
    "style=\"margin:0px;height:100%\"><iframe id=\"main-iframe\" width=\"100%\">Request "
    "unsuccessful. Incapsula incident ID: 1204000190089914474-98530211934962513</iframe></body>"
    "</html>";

void answer_send(struct sim *sim, struct conn *conn, struct answer answer)
{
    const int64_t *numbers = sim->faults.numbers;

    sim->stats.answers[answer.status]++;
    answer.delay_ms += fault_between(&sim->faults, FAULT_NONE, numbers[NUMBER_LATENCY_MIN_MS],
                                     numbers[NUMBER_LATENCY_MAX_MS]);
    server_answer(conn, &answer);
}

void answer_json(struct sim *sim, struct conn *conn, int status)
{
    answer_send(
        sim, conn,
        (struct answer){
            .status = status, .type = JSON, .body = sim->reply.bytes, .len = sim->reply.len });
}

void answer_error(struct sim *sim, struct conn *conn, int status, const char *code,
                  const char *message)
{
    struct str *out = &sim->reply;

    str_reset(out);
    str_printf(out, "{\"requestId\":\"%u-%u-1\",\"errorCode\":\"%s\",\"errorMessage\":",
               10000 + sim->book.boot % 90000, ++sim->refusals, code);
    quote_json(out, message, strlen(message));
    str_putc(out, '}');
    answer_json(sim, conn, status);
}

void answer_invalid(struct sim *sim, struct conn *conn, const char *field)
{
    answer_error(sim, conn, 400, "400.002.02",
                 arena_printf(sim->work, "Bad Request - Invalid %s", field));
}

/* "Retry-After: ..." when that is set. */
static const char *retry_after(const struct sim *sim)
{
    int64_t seconds = sim->faults.numbers[NUMBER_RETRY_AFTER_S];

    return seconds == 0 ? NULL
                        : arena_printf(sim->work, "Retry-After: %lld\r\n", (long long)seconds);
}

void answer_spike(struct sim *sim, struct conn *conn, int64_t per_period, int64_t period_ms)
{
    struct str *out = &sim->reply;

    str_reset(out);
    str_printf(out,
               "{\"fault\":{\"faultstring\":\"Spike arrest violation. Allowed rate : "
               "MessageRate{messagesPerPeriod=%lld, periodInMicroseconds=%lld, "
               "maxBurstMessageCount=1.0}\",\"detail\":{\"errorcode\":"
               "\"policies.ratelimit.SpikeArrestViolation\"}}}",
               (long long)per_period, (long long)period_ms * 1000);
    answer_send(sim, conn,
                (struct answer){ .status = 429,
                                 .type = "application/json",
                                 .headers = retry_after(sim),
                                 .body = out->bytes,
                                 .len = out->len });
}

void answer_unavailable(struct sim *sim, struct conn *conn)
{
    answer_send(sim, conn,
                (struct answer){ .status = 503,
                                 .type = HTML,
                                 .headers = retry_after(sim),
                                 .body = page,
                                 .len = sizeof(page) - 1 });
}

void answer_html(struct sim *sim, struct conn *conn)
{
    answer_send(
        sim, conn,
        (struct answer){ .status = 200, .type = HTML, .body = page, .len = sizeof(page) - 1 });
}

void answer_empty(struct sim *sim, struct conn *conn)
{
    answer_send(sim, conn, (struct answer){ .status = 200, .type = JSON, .body = "", .len = 0 });
}

void answer_drop(struct sim *sim, struct conn *conn)
{
    sim->stats.dropped++;
    server_drop(conn);
}
