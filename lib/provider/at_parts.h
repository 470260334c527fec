/*
 * at_parts - what the readers of SMS replies and of call replies share
 *
 * Private to lib/provider.
 */
#ifndef PROVIDER_AT_PARTS_H
#define PROVIDER_AT_PARTS_H

#include "provider/africastalking.h"

void at_verdict_set(struct at_verdict *whole, enum at_request_state state, const char *why);

/* The verdict as far as the HTTP answer alone gives it. */
void at_verdict_http(const struct http_reply *reply, struct at_verdict *whole);

/* What a verdict other than AT_REQUEST_OK means for every recipient. */
enum at_class at_verdict_class(const struct at_verdict *whole);

/* Numbers asked for, to their places: open addressing, 0 is empty, else place + 1. */
struct at_places {
    const int64_t *msisdns;
    size_t n;
    uint32_t *table; /* NULL until a reply comes in another order than the request */
    size_t mask;
};

/* The place of "+254…" in the request, or n. Replies mostly keep the order, so guess is tried. */
size_t at_place(struct at_places *places, const char *number, size_t guess, struct arena *arena);

/* A base URL (of the setting url_name), and a user and key that can go into a request. */
bool at_account_check(const char *url_name, const char *url, const char *username,
                      const char *api_key, struct err *err) __attribute__((warn_unused_result));

#endif
