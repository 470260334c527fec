/*
 * payments - what accounts buy, how it was paid, and the money that nobody could match
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "ctl.h"
#include "money.h"
#include "payment/payment.h"
#include "payment/reversal.h"

#define E4_PER_MINOR 100
#define ROWS_MAX 10000

static const char *amount(struct ctl *ctl, int64_t minor, const char *currency)
{
    return money_format(ctl, minor * E4_PER_MINOR, currency);
}

static const char *or_dash(const char *text)
{
    return *text != '\0' ? text : "-";
}

static void print_payment(struct ctl *ctl, const struct payment *payment)
{
    char id[ID_TEXT_BYTES];

    id_format("pay", payment->id, id);
    printf("%-17s  %-19s  %-12s %-11s %-12s %14s  %-12s  %s%s%s\n", id,
           ctl_time(ctl, payment->created_ms), payment->account_slug, payment->reference,
           payment->plan, amount(ctl, payment->amount_minor, payment->currency), payment->status,
           payment->receipt, *payment->receipt != '\0' ? " " : "", payment->reason);
}

static void print_receipt(struct ctl *ctl, const struct receipt *receipt)
{
    printf("%-20s  %-19s  %-12s %14s  %-9s  %s  bill reference %s%s%s\n", receipt->receipt,
           ctl_time(ctl, receipt->paid_ms), receipt->source,
           amount(ctl, receipt->amount_minor, receipt->currency), receipt->status,
           or_dash(receipt->payer), or_dash(receipt->bill_reference),
           *receipt->why != '\0' ? "; " : "", receipt->why);
}

static bool list_receipts(struct ctl *ctl, size_t most, struct err *err)
{
    struct receipt *receipts;
    struct db *db;
    size_t count;

    if (!ctl_db(ctl, &db, err) ||
        !receipt_list(db, RECEIPTS_OPEN, 0, most, ctl->arena, &receipts, &count, err)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        print_receipt(ctl, &receipts[i]);
    }
    if (count == 0) {
        printf("nothing is unmatched\n");
    }
    return true;
}

static bool list(struct ctl *ctl, struct err *err)
{
    const bool one = ctl_option(ctl, "account") != NULL || ctl_option(ctl, "user") != NULL;
    struct account account = { .id = 0 };
    struct payment *payments;
    int64_t most;
    struct db *db;
    size_t count;

    if (!ctl_option_int(ctl, "limit", 1, ROWS_MAX, 50, &most, err)) {
        return false;
    }
    if (ctl_option(ctl, "unmatched") != NULL) {
        return list_receipts(ctl, (size_t)most, err);
    }
    if ((one && !ctl_account(ctl, &account, err)) || !ctl_db(ctl, &db, err) ||
        !payment_list(db, account.id, 0, ctl_option(ctl, "status"), 0, (size_t)most, ctl->arena,
                      &payments, &count, err)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        print_payment(ctl, &payments[i]);
    }
    if (count == 0) {
        printf("no payments\n");
    }
    return true;
}

const struct command payments_list_command = {
    .name = "payments list",
    .arguments = "",
    .summary = "List payments, newest first, or the money that nobody could match",
    .options =
        (const struct option_def[]){
            { OPTION_TEXT, "account", "SLUG", "whose; default everybody's" },
            { OPTION_TEXT, "user", "EMAIL", "whose, by e-mail address" },
            { OPTION_TEXT, "status", "WORD", "requested, prompted, unresolved, failed, paid …" },
            { OPTION_FLAG, "unmatched", NULL, "receipts that wait for payments match" },
            { OPTION_TEXT, "limit", "N", "how many; default 50" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = list,
};

static const struct db_statement list_callbacks = {
    "ctl_list_callbacks",
    "SELECT received_at, kind, verdict, coalesce(detail, ''), body FROM payment_callbacks"
    " WHERE payment_id = $1 ORDER BY received_at LIMIT 100",
    1,
};

static bool show_payment(struct ctl *ctl, const struct payment *payment, struct err *err)
{
    AUTO_DB_RESULT struct db_result *callbacks = NULL;
    char id[ID_TEXT_BYTES], purchase[ID_TEXT_BYTES];

    if (!db_query(ctl->db, &list_callbacks, (struct db_value[]){ db_int8(payment->id) }, &callbacks,
                  err)) {
        return false;
    }
    id_format("pay", payment->id, id);
    id_format("pur", payment->purchase, purchase);
    printf("payment      %s by %s, of %lld\n", id, payment->provider, (long long)payment->msisdn);
    printf("purchase     %s %s, %s, %s\n", payment->reference, purchase, payment->plan,
           payment->purchase_status);
    printf("account      %s\n", payment->account_slug);
    printf("amount       %s for %s tokens\n", amount(ctl, payment->amount_minor, payment->currency),
           ctl_number(ctl, payment->tokens));
    printf("status       %s %s\n", payment->status, payment->reason);
    printf("detail       %s\n", or_dash(payment->detail));
    printf("receipt      %s\n", or_dash(payment->receipt));
    printf("checkout     %s\n", or_dash(payment->checkout_request));
    printf("created      %s\n", ctl_time(ctl, payment->created_ms));
    printf("pushed       %s\n", ctl_time(ctl, payment->pushed_ms));
    printf("ended        %s\n", ctl_time(ctl, payment->ended_ms));
    printf("queries      %lld, next %s\n", (long long)payment->queries,
           ctl_time(ctl, payment->next_query_ms));
    for (int i = 0; i < db_rows(callbacks); i++) {
        printf("told         %s %s: %s %s\n             %s\n",
               ctl_time(ctl, db_get_time(callbacks, i, 0)), db_get_text(callbacks, i, 1),
               db_get_text(callbacks, i, 2), db_get_text(callbacks, i, 3),
               db_get_text(callbacks, i, 4));
    }
    return true;
}

static bool show_purchase(struct ctl *ctl, const struct purchase *purchase, struct err *err)
{
    struct payment *payments;
    size_t count;

    if (!payment_list(ctl->db, 0, purchase->id, NULL, 0, ROWS_MAX, ctl->arena, &payments, &count,
                      err)) {
        return false;
    }
    printf("%s: %s buys %s, %s tokens for %s; %s\n", purchase->reference, purchase->account_slug,
           purchase->plan, ctl_number(ctl, purchase->tokens),
           amount(ctl, purchase->amount_minor, purchase->currency), purchase->status);
    for (size_t i = 0; i < count; i++) {
        print_payment(ctl, &payments[i]);
    }
    return true;
}

static bool show_reversal(struct ctl *ctl, const struct receipt *receipt, struct err *err)
{
    struct reversal reversal;

    if (!payment_reversal_find(ctl->db, receipt->receipt, ctl->arena, &reversal, err)) {
        return strcmp(err->what, "reversal_unknown") == 0;
    }
    printf("paid back    %s %s %s\n", reversal.status, reversal.reason, reversal.own_receipt);
    printf("detail       %s\n", or_dash(reversal.detail));
    printf("decided      %s by %s: %s\n", ctl_time(ctl, reversal.requested_ms), reversal.by,
           reversal.why);
    printf("tokens       %s taken back\n", ctl_number(ctl, reversal.tokens));
    return true;
}

static bool show(struct ctl *ctl, struct err *err)
{
    const char *text = ctl->arguments[0];
    struct purchase purchase;
    struct payment payment;
    struct receipt receipt;
    struct db *db;
    int64_t id;

    if (!ctl_db(ctl, &db, err)) {
        return false;
    }
    if (id_parse("pay", text, &id)) {
        return payment_find(db, 0, id, ctl->arena, &payment, err) &&
               show_payment(ctl, &payment, err);
    }
    if (id_parse("pur", text, &id)) {
        return purchase_find(db, 0, id, ctl->arena, &purchase, err) &&
               show_purchase(ctl, &purchase, err);
    }
    if (purchase_find_by_reference(db, 0, text, ctl->arena, &purchase, err)) {
        return show_purchase(ctl, &purchase, err);
    }
    if (strcmp(err->what, "purchase_unknown") != 0) {
        return false;
    }
    if (!receipt_find(db, text, ctl->arena, &receipt, err)) {
        return strcmp(err->what, "receipt_unknown") == 0
                   ? err_permanent(err, "payment_unknown",
                                   "'%.40s' is no payment, purchase, reference or receipt", text)
                   : false;
    }
    print_receipt(ctl, &receipt);
    if (!show_reversal(ctl, &receipt, err)) {
        return false;
    }
    return receipt.payment == 0 ||
           (payment_find(db, 0, receipt.payment, ctl->arena, &payment, err) &&
            show_payment(ctl, &payment, err));
}

const struct command payments_show_command = {
    .name = "payments show",
    .arguments = "PAYMENT",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "Show a payment (pay_…) with what was told of it, a purchase (TK…) or a receipt",
    .run = show,
};

static bool query(struct ctl *ctl, struct err *err)
{
    struct db *db;
    int64_t id;

    if (!id_parse("pay", ctl->arguments[0], &id)) {
        return ctl_usage(err, "'%.40s' is no payment's id; they look like pay_06ETQ5S0K3P1V",
                         ctl->arguments[0]);
    }
    if (!ctl_db(ctl, &db, err) || !db_begin(db, err)) {
        return false;
    }
    if (!payment_ask(db, id, clock_now_ms(), ctl->arena, err) || !db_commit(db, err)) {
        db_rollback(db);
        return false;
    }
    printf("%s: settle-payment asks the provider as soon as its rate allows\n", ctl->arguments[0]);
    return true;
}

const struct command payments_query_command = {
    .name = "payments query",
    .arguments = "PAYMENT",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "Have the provider asked about a payment, however long it was given up",
    .run = query,
};
