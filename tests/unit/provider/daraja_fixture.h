/*
 * daraja_fixture - settings, replies and an arena for the tests of M-Pesa's client
 */
#ifndef UNIT_PROVIDER_DARAJA_FIXTURE_H
#define UNIT_PROVIDER_DARAJA_FIXTURE_H

/* cmocka.h wants these before it. clang-format would sort them. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <string.h>

#include "provider/daraja.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The sandbox's public shortcode and passkey. */
__attribute__((unused)) static const struct daraja_conf sandbox = {
    .base_url = "https://sandbox.safaricom.co.ke",
    .consumer_key = "key",
    .consumer_secret = "s3cr:et",
    .shortcode = "174379",
    .passkey = "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919",
    .transaction_type = "CustomerPayBillOnline",
    .party_b = "",
    .public_url = "https://pay.example",
    .initiator = "",
    .security_credential = "",
    .min_kes = 1,
    .max_kes = 250000,
    .timeout_ms = 20000,
    .token_timeout_ms = 5000,
    .token_margin_ms = 120000,
};

__attribute__((unused)) static int begin(void **state)
{
    *state = arena_create(8 << 20);
    return 0;
}

__attribute__((unused)) static int end(void **state)
{
    arena_destroy(*state);
    return 0;
}

__attribute__((unused)) static struct http_reply answer(int status, const char *body)
{
    return (struct http_reply){
        .sent = HTTP_ANSWERED,
        .status = status,
        .content_type = "application/json",
        .body = body,
        .body_len = strlen(body),
        .retry_after_s = -1,
    };
}

#define IN_ARENA(test) cmocka_unit_test_setup_teardown(test, begin, end)

#endif
