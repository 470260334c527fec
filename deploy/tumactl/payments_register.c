/*
 * payments_register - tells M-Pesa where to post what is paid to the paybill without a prompt
 *
 * M-Pesa takes a shortcode's addresses once in production: to change them is a matter for its
 * support. So the command shows them first and acts only when it is told to.
 */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "ctl.h"
#include "http/http.h"
#include "provider/daraja.h"
#include "provider/daraja_reply.h"
#include "provider/daraja_token.h"

#define TOKEN_MIN 16

struct register_conf {
    struct daraja_conf mpesa;
    const char *c2b_token;
};
static const struct conf_item items[] = {
    DARAJA_CONF_ITEMS(struct register_conf, mpesa.),
    CONF_SECRET(struct register_conf, c2b_token, "MPESA_C2B_TOKEN", NULL,
                "Last part of the addresses registered for C2B, hexadecimal."),
    CONF_END,
};

static bool check(const struct register_conf *conf, struct err *err)
{
    struct err bad;

    if (!daraja_conf_check(&conf->mpesa, &bad)) {
        return err_permanent(err, "settings", "%s", bad.detail);
    }
    return (strlen(conf->c2b_token) >= TOKEN_MIN &&
            conf->c2b_token[strspn(conf->c2b_token, "0123456789abcdef")] == '\0') ||
           err_permanent(err, "settings",
                         "MPESA_C2B_TOKEN: must be %d or more of 0-9a-f: `openssl rand -hex 16`",
                         TOKEN_MIN);
}

static bool load(struct ctl *ctl, struct register_conf *conf, struct err *err)
{
    struct str problems = { 0 };
    bool loaded = conf_load(items, conf, ctl->arena, &problems);

    if (!loaded) {
        err_permanent(err, "settings", "%.190s", problems.bytes);
        err->detail[strcspn(err->detail, "\n")] = '\0';
    }
    str_free(&problems);
    return loaded && check(conf, err);
}

static bool ask(struct ctl *ctl, struct http *http, const struct daraja_conf *mpesa,
                const char *confirmation, const char *validation, struct err *err)
{
    struct daraja_answer answer;
    struct http_reply reply;
    struct http_call call;
    const char *token;
    struct db *db;

    if (!ctl_db(ctl, &db, err) || !daraja_token_get(db, http, mpesa, &token, ctl->arena, err) ||
        !daraja_register_request(mpesa, token, confirmation, validation, &call, ctl->arena, err)) {
        return false;
    }
    http_run(http, &call, &reply, 1, ctl->arena);
    daraja_register_read(&reply, &answer, ctl->arena);
    return answer.class == DARAJA_ACCEPTED ||
           err_permanent(err, answer.why, "M-Pesa did not take them: %.150s", answer.detail);
}

static bool register_addresses(struct ctl *ctl, struct err *err)
{
    struct register_conf conf;
    struct http *http = NULL;

    if (!load(ctl, &conf, err)) {
        return false;
    }
    const char *confirmation =
        arena_printf(ctl->arena, "/api/pay/c2b/confirmation/%s", conf.c2b_token);
    const char *validation = arena_printf(ctl->arena, "/api/pay/c2b/validation/%s", conf.c2b_token);
    printf("shortcode     %s at %s\n", conf.mpesa.shortcode, conf.mpesa.base_url);
    printf("confirmation  %s/api/pay/c2b/confirmation/…\n", conf.mpesa.public_url);
    printf("validation    %s/api/pay/c2b/validation/…\n", conf.mpesa.public_url);
    if (ctl_option(ctl, "yes") == NULL) {
        printf("not registered: M-Pesa takes them once; say --yes when they are right\n");
        return true;
    }
    bool taken = http_create(&(struct http_conf){ 0 }, &http, err) &&
                 ask(ctl, http, &conf.mpesa, confirmation, validation, err);
    http_destroy(http);
    if (taken) {
        printf("registered\n");
    }
    return taken;
}

const struct command payments_register_command = {
    .name = "payments register",
    .arguments = "",
    .summary = "Register our addresses for payments to the paybill (MPESA_*, PUBLIC_URL)",
    .options =
        (const struct option_def[]){
            { OPTION_FLAG, "yes", NULL, "do it" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = register_addresses,
};
