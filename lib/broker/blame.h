/*
 * blame - which message made the broker close the channel
 *
 * RabbitMQ closes the channel over a publish to an exchange that does not exist or is not ours, and
 * over a body longer than its max_message_size, without saying which publish it was. Sent again,
 * the same message would close every following connection, and nothing would ever get through. The
 * closing's text names the exchange or the size: what matches is settled here.
 */
#ifndef BROKER_BLAME_H
#define BROKER_BLAME_H

#include "window.h"

/* Settles as returned what named the exchange, as refused what had the size. */
void blame(struct window *window, int code, const char *text);

#endif
