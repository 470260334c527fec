/*
 * provider_balance - the credit left at Africa's Talking, asked at most twice a minute
 */
#ifndef INGRESS_PROVIDER_BALANCE_H
#define INGRESS_PROVIDER_BALANCE_H

#include "request.h"

/* Appends {"balance":"1785.5000","currency":"KES",…}; false with err when it cannot be had. */
bool provider_balance_put(struct request *req, struct str *out, struct err *err);

#endif
