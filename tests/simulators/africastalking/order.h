/*
 * order - what a send request asks for, however it was encoded
 *
 *     status = order_read(request, arena, &order, &problem);
 *     if (status != 0) answer with that HTTP status and the problem as text
 */
#ifndef SIM_ORDER_H
#define SIM_ORDER_H

#include <stddef.h>

#include "base/arena.h"
#include "engine/request.h"

struct order {
    const char *username;
    const char *message;
    const char *sender; /* NULL: none */
    char *to;           /* the form's comma list, cut up in place; or NULL */
    const char **numbers;
    size_t count;
    int accepted_code; /* 100, 101, 102: what the accepted recipients get */
};

/* 0, or the HTTP status of the refusal. Strings point into the request or the arena. */
int order_read(struct request *request, struct arena *arena, struct order *out_order,
               const char **out_problem);

#endif
