/*
 * blame - which message made the broker close the channel
 */
#include "blame.h"

#include <stdlib.h>
#include <string.h>

/* As in "NOT_FOUND - no exchange 'x' in vhost '/'" and "… access to exchange 'x' in vhost …". */
static const char exchange_mark[] = "exchange '";
/* As in "PRECONDITION_FAILED - message size 2097152 is larger than configured max size 1048576". */
static const char size_mark[] = "message size ";

static bool has_exchange(const struct pending *pending, const void *context)
{
    const char *rest = context;
    size_t len = pending->exchange.len;

    return strncmp(rest, pending->exchange.bytes, len) == 0 && rest[len] == '\'';
}

static bool has_size(const struct pending *pending, const void *context)
{
    return pending->body.len == *(const size_t *)context;
}

void blame(struct window *window, int code, const char *text)
{
    const char *exchange = strstr(text, exchange_mark);
    const char *size = strstr(text, size_mark);

    if ((code == AMQP_NOT_FOUND || code == AMQP_ACCESS_REFUSED) && exchange != NULL) {
        window_settle_matching(window, has_exchange, exchange + strlen(exchange_mark),
                               BROKER_RETURNED);
    } else if (code == AMQP_PRECONDITION_FAILED && size != NULL) {
        size_t bytes = strtoul(size + strlen(size_mark), NULL, 10);

        window_settle_matching(window, has_size, &bytes, BROKER_REFUSED);
    }
}
