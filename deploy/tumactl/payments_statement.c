/*
 * payments_statement - M-Pesa's own account of the money, held against what we credited
 *
 * Each line that paid something in is credited, differs, waits for a person, or is not known to us;
 * with --apply the last are settled as if M-Pesa had told of them. Each receipt that we credited
 * and that was paid in while the statement runs has to be on it. What remains for a person is
 * printed and makes the command fail.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "ctl.h"
#include "money.h"
#include "payment/payment.h"
#include "provider/daraja_statement.h"

#define E4_PER_MINOR 100
#define CURRENCY "KES"
#define BLOCK_BYTES 65536

struct reconciling {
    struct ctl *ctl;
    struct db *db;
    bool apply;
    bool noting; /* the first of two readings */
    struct err *err;
    bool failed; /* err says why */
    int64_t from_ms, to_ms;
    long lines, credited, applied, waiting, missing, wrong, bad;
};

/* What the statement says, kept for the question what it does not say. */
static const char make_table[] =
    "CREATE TEMPORARY TABLE statement_lines (receipt text PRIMARY KEY, is_money boolean NOT NULL)";

static const struct db_statement keep_line = {
    "ctl_keep_line",
    "INSERT INTO statement_lines (receipt, is_money) VALUES ($1, $2)"
    " ON CONFLICT (receipt) DO UPDATE"
    " SET is_money = statement_lines.is_money AND excluded.is_money",
    2,
};

static const struct db_statement take_back = {
    "ctl_take_back",
    "INSERT INTO statement_lines (receipt, is_money) VALUES ($1, false)"
    " ON CONFLICT (receipt) DO UPDATE SET is_money = false",
    1,
};

/* Credited money that the statement does not have, though it runs over that time. */
static const struct db_statement list_wrong = {
    "ctl_list_wrong",
    "SELECT r.receipt, r.amount_minor, r.currency::text, coalesce(r.paid_at, r.noted_at),"
    "       coalesce(p.reference, '-'), l.receipt IS NOT NULL"
    "  FROM payment_receipts r"
    "  LEFT JOIN purchases p ON p.id = r.purchase_id"
    "  LEFT JOIN statement_lines l ON l.receipt = r.receipt"
    " WHERE r.provider = '" PAYMENT_PROVIDER_MPESA "' AND r.status = 'credited'"
    "   AND (l.is_money = false OR (l.receipt IS NULL"
    "        AND coalesce(r.paid_at, r.noted_at) BETWEEN $1 AND $2))"
    " ORDER BY 4, 1",
    2,
};

static const char *amount(struct reconciling *r, int64_t minor)
{
    return money_format(r->ctl, minor * E4_PER_MINOR, CURRENCY);
}

static void print_line(struct reconciling *r, const struct daraja_statement_line *line,
                       const char *what, const char *why)
{
    printf("%-12s %-12s %s %14s  bill reference %s%s%s\n", what, line->receipt,
           ctl_time(r->ctl, line->completed_ms), amount(r, line->paid_in_minor),
           *line->bill_reference != '\0' ? line->bill_reference : "-", *why != '\0' ? "; " : "",
           why);
}

static bool settle(struct reconciling *r, const struct daraja_statement_line *line,
                   struct payment_outcome *out)
{
    const struct payment_money money = {
        .provider = PAYMENT_PROVIDER_MPESA,
        .receipt = line->receipt,
        .amount_minor = line->paid_in_minor,
        .currency = CURRENCY,
        .bill_reference = line->bill_reference,
        .source = "statement",
        .paid_ms = line->completed_ms,
    };

    if (!db_begin(r->db, r->err)) {
        return false;
    }
    if (!payment_settle(r->db, &money, clock_now_ms(), r->ctl->arena, out, r->err) ||
        (out->purchase != 0 &&
         !payment_tell_later(r->db, out->purchase, out->payment, clock_now_ms(), r->err)) ||
        !db_commit(r->db, r->err)) {
        db_rollback(r->db);
        return false;
    }
    return true;
}

static bool take_unknown(struct reconciling *r, const struct daraja_statement_line *line)
{
    struct payment_outcome outcome;

    if (!r->apply) {
        r->missing++;
        print_line(r, line, "not credited", "we know nothing of it");
        return true;
    }
    if (!settle(r, line, &outcome)) {
        return false;
    }
    if (outcome.settled == PAYMENT_CREDITED) {
        r->applied++;
        print_line(r, line, "credited now", "");
    } else {
        r->waiting++;
        print_line(r, line, payment_settled_word(outcome.settled), outcome.why);
    }
    return true;
}

static void take_known(struct reconciling *r, const struct daraja_statement_line *line,
                       const struct receipt *receipt)
{
    if (receipt->amount_minor != line->paid_in_minor) {
        r->wrong++;
        print_line(
            r, line, "differs",
            arena_printf(r->ctl->arena, "we have it as %s", amount(r, receipt->amount_minor)));
    } else if (strcmp(receipt->status, "credited") == 0) {
        r->credited++;
    } else if (strcmp(receipt->status, "reversed") != 0) {
        r->waiting++;
        print_line(r, line, receipt->status, receipt->why);
    }
}

/* What the statement says of a receipt in all its lines: it may be taken back further down. */
static bool note_line(struct reconciling *r, const struct daraja_statement_line *line)
{
    const bool is_money = line->completed && line->paid_in_minor > 0;

    r->lines++;
    if (r->from_ms == 0 || line->completed_ms < r->from_ms) {
        r->from_ms = line->completed_ms;
    }
    if (line->completed_ms > r->to_ms) {
        r->to_ms = line->completed_ms;
    }
    if (line->completed && line->withdrawn_minor > 0 && *line->linked != '\0' &&
        !db_run(r->db, &take_back, (struct db_value[]){ db_text(line->linked) }, NULL, r->err)) {
        return false;
    }
    return (line->completed && !is_money) || /* charges, withdrawals: no receipt of ours */
           db_run(r->db, &keep_line,
                  (struct db_value[]){ db_text(line->receipt), db_bool(is_money) }, NULL, r->err);
}

static const struct db_statement find_line = {
    "ctl_find_line",
    "SELECT is_money FROM statement_lines WHERE receipt = $1",
    1,
};

static bool hold_line(struct reconciling *r, const struct daraja_statement_line *line)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct receipt receipt;

    if (!line->completed || line->paid_in_minor == 0) {
        return true;
    }
    if (!db_query(r->db, &find_line, (struct db_value[]){ db_text(line->receipt) }, &found,
                  r->err)) {
        return false;
    }
    if (db_rows(found) == 0 || !db_get_bool(found, 0, 0)) {
        return true; /* taken back: it must not be credited */
    }
    if (receipt_find(r->db, line->receipt, r->ctl->arena, &receipt, r->err)) {
        take_known(r, line, &receipt);
        return true;
    }
    return strcmp(r->err->what, "receipt_unknown") == 0 && take_unknown(r, line);
}

static bool on_line(void *context, const struct daraja_statement_line *line)
{
    struct reconciling *r = context;

    r->failed = !(r->noting ? note_line(r, line) : hold_line(r, line));
    return !r->failed;
}

static bool on_bad(void *context, size_t line, const struct err *err)
{
    struct reconciling *r = context;

    if (r->noting) {
        r->bad++;
        printf("line %zu: %s\n", line, err->detail);
    }
    return true;
}

static bool print_wrong(struct reconciling *r, struct err *err)
{
    AUTO_DB_RESULT struct db_result *rows = NULL;

    if (!db_query(r->db, &list_wrong, (struct db_value[]){ db_time(r->from_ms), db_time(r->to_ms) },
                  &rows, err)) {
        return false;
    }
    for (int i = 0; i < db_rows(rows); i++) {
        r->wrong++;
        printf("%-12s %-12s %s %14s  credited to %s, %s\n", "should not", db_get_text(rows, i, 0),
               ctl_time(r->ctl, db_get_time(rows, i, 3)), amount(r, db_get_int(rows, i, 1)),
               db_get_text(rows, i, 4),
               db_get_bool(rows, i, 5) ? "but it was not paid or was taken back"
                                       : "but the statement does not have it");
    }
    return true;
}

static bool read_statement(struct reconciling *r, bool noting, struct err *err)
{
    const char *path = r->ctl->arguments[0];
    FILE *file = fopen(path, "re");
    struct daraja_statement *statement = daraja_statement_create(r->ctl->arena, on_line, on_bad, r);
    char *block = arena_alloc(r->ctl->arena, BLOCK_BYTES);
    size_t len;

    if (file == NULL) {
        return err_permanent(err, "bad_file", "cannot open %.100s", path);
    }
    r->noting = noting;
    while ((len = fread(block, 1, BLOCK_BYTES, file)) > 0 &&
           daraja_statement_feed(statement, block, len)) {
    }
    const bool unreadable = ferror(file) != 0;
    struct err ended;
    (void)fclose(file); /* only read */
    const bool sound = daraja_statement_finish(statement, &ended);
    if (r->failed) {
        return false; /* err was filled when it was */
    }
    if (unreadable) {
        return err_permanent(err, "bad_file", "%.100s cannot be read", path);
    }
    if (!sound) {
        *err = ended;
    }
    return sound;
}

static bool reconcile(struct ctl *ctl, struct err *err)
{
    struct reconciling r = { .ctl = ctl, .apply = ctl_option(ctl, "apply") != NULL, .err = err };

    if (!ctl_db(ctl, &r.db, err) || !db_script(r.db, make_table, err) ||
        !read_statement(&r, true, err) || !read_statement(&r, false, err) ||
        !print_wrong(&r, err)) {
        return false;
    }
    printf("%ld lines: %ld credited before, %ld credited now, %ld waiting for payments match, "
           "%ld not credited, %ld we should not have credited or otherwise, %ld unreadable\n",
           r.lines, r.credited, r.applied, r.waiting, r.missing, r.wrong, r.bad);
    return r.waiting + r.missing + r.wrong + r.bad == 0 ||
           err_permanent(err, "statement_differs", "the statement and our record differ");
}

const struct command payments_statement_command = {
    .name = "payments statement",
    .arguments = "FILE",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "Hold an M-Pesa statement (CSV) against what we credited; fails when they differ",
    .options =
        (const struct option_def[]){
            { OPTION_FLAG, "apply", NULL, "settle the money on it that we know nothing of" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = reconcile,
};
