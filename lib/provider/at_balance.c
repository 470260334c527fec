/*
 * at_balance - what is left on the provider's account
 */
#include <string.h>

#include "base/str.h"
#include "json/shape.h"
#include "provider/africastalking.h"

#define BALANCE_BYTES 40 /* "USD 999999589.6168" with room */

struct user_data {
    const char *balance;
};

static const struct field user_data_fields[] = {
    FIELD_STR(struct user_data, balance, 1, BALANCE_BYTES),
    FIELD_END,
};

static const struct shape user_data_shape = {
    .type = "africastalking user data",
    .size = sizeof(struct user_data),
    .fields = user_data_fields,
};

/* Recorded replies have UserData, the developer pages userData. */
struct user_reply {
    struct user_data data;
    struct user_data documented;
};

static const struct field user_reply_fields[] = {
    { .type = FIELD_TYPE_OBJECT,
      .name = "UserData",
      .flags = FIELD_OPTIONAL,
      .offset = offsetof(struct user_reply, data),
      .shape = &user_data_shape },
    { .type = FIELD_TYPE_OBJECT,
      .name = "userData",
      .flags = FIELD_OPTIONAL,
      .offset = offsetof(struct user_reply, documented),
      .shape = &user_data_shape },
    FIELD_END,
};

static const struct shape user_reply_shape = {
    .type = "africastalking user",
    .size = sizeof(struct user_reply),
    .fields = user_reply_fields,
};

static bool read_balance(const struct http_reply *reply, struct arena *arena,
                         int64_t *out_balance_e4, char out_currency[4], struct err *err)
{
    struct user_reply user;

    if (!shape_read(&user_reply_shape, reply->body, reply->body_len, &user, arena, err)) {
        return false;
    }
    const char *text = user.data.balance != NULL ? user.data.balance : user.documented.balance;
    if (text == NULL || !at_money_parse(text, out_balance_e4, out_currency)) {
        return err_permanent(err, "bad_balance", "the reply has no readable balance");
    }
    return true;
}

bool at_balance(struct http *http, const struct at_conf *conf, struct arena *arena,
                int64_t *out_balance_e4, char out_currency[4], struct err *err)
{
    struct str query = { 0 };
    struct http_reply reply;

    http_form_add(&query, "username", conf->username, strlen(conf->username));
    struct http_call call = {
        .method = "GET",
        .url = arena_printf(arena, "%s/user?%s", conf->url, query.bytes),
        .headers = (const char *const[]){ arena_printf(arena, "apiKey: %s", conf->api_key),
                                          "Accept: application/json", NULL },
        .timeout_ms = conf->timeout_ms,
    };
    str_free(&query);
    http_run(http, &call, &reply, 1, arena);

    if (reply.sent != HTTP_ANSWERED) {
        /* A question may be asked again, whatever became of the first. */
        return err_temporary(err, reply.err.what, "%s", reply.err.detail);
    }
    if (reply.status == 429 || reply.status >= 500) {
        return err_temporary(err, "provider_busy", "provider answered %d", reply.status);
    }
    if (reply.status != 200) {
        return err_permanent(err, "provider_refused", "provider answered %d", reply.status);
    }
    return read_balance(&reply, arena, out_balance_e4, out_currency, err);
}
