/*
 * statement - signed statements for customers, and the key that signs them
 *
 * The key is STATEMENT_KEY, or the file that STATEMENT_KEY_FILE names. Customers get its public
 * half once, and check statements with tuma-verify-statement.
 */
#include "ledger/statement.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "ctl.h"

struct statement_settings {
    const char *key;
};
static const struct conf_item items[] = {
    CONF_SECRET(struct statement_settings, key, "STATEMENT_KEY", NULL,
                "Ed25519 private key (PEM) that signs statements; tumactl statement-key create."),
    CONF_END,
};

static bool load_key(struct ctl *ctl, const char **out_key, struct err *err)
{
    struct str problems = { 0 };
    struct statement_settings settings;

    if (!conf_load(items, &settings, ctl->arena, &problems)) {
        problems.bytes[strcspn(problems.bytes, "\n")] = '\0';
        err_permanent(err, "settings", "%s", problems.bytes);
        str_free(&problems);
        return false;
    }
    *out_key = settings.key;
    return true;
}

static bool statement(struct ctl *ctl, struct err *err)
{
    struct ledger_statement wanted = { 0 };
    struct str text = { 0 };
    struct account account;
    struct db *db;
    bool ok;

    if (!ctl_option_time(ctl, "from", &wanted.from_ms, err) ||
        !ctl_option_time(ctl, "to", &wanted.to_ms, err) || !load_key(ctl, &wanted.key, err) ||
        !ctl_account(ctl, &account, err) || !ctl_db(ctl, &db, err)) {
        return false;
    }
    wanted.account = account.id;
    wanted.name = account.slug;
    ok = ledger_statement(db, &wanted, &text, err);
    if (ok) {
        (void)fwrite(text.bytes, 1, text.len, stdout); /* main() looks whether it was written */
    }
    str_free(&text);
    return ok;
}

const struct command tokens_statement_command = {
    .name = "tokens statement",
    .arguments = "",
    .summary = "Print a signed statement that tuma-verify-statement checks",
    .options =
        (const struct option_def[]){
            { OPTION_TEXT, "account", "SLUG", "whose" },
            { OPTION_TEXT, "user", "EMAIL", "whose, by e-mail address" },
            { OPTION_TEXT, "from", "TIME", "RFC 3339; default the first entry" },
            { OPTION_TEXT, "to", "TIME", "RFC 3339; default the last entry" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = statement,
};

/* A new file with the text; one that is there is never written over. */
static bool write_file(const char *path, mode_t mode, const struct str *text, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    bool ok = fd >= 0 && write(fd, text->bytes, text->len) == (ssize_t)text->len && fsync(fd) == 0;

    if (fd >= 0) {
        ok = close(fd) == 0 && ok;
    }
    return ok || err_permanent(err, "key_unwritable", "%.120s: %s", path, strerror(errno));
}

static bool create_key(struct ctl *ctl, struct err *err)
{
    const char *path = ctl->arguments[0];
    const char *public_path = arena_printf(ctl->arena, "%s.pub", path);
    struct str private = { 0 }, public = { 0 };
    bool ok;

    crypto_sign_key(&private, &public);
    ok = write_file(path, 0600, &private, err) && write_file(public_path, 0644, &public, err);
    explicit_bzero(private.bytes, private.size);
    str_free(&private);
    str_free(&public);
    if (ok) {
        printf("%s signs statements: set STATEMENT_KEY_FILE to it, and keep it secret\n"
               "%s checks them: give it to customers\n",
               path, public_path);
    }
    return ok;
}

const struct command statement_key_create_command = {
    .name = "statement-key create",
    .arguments = "FILE",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "Make the key that signs statements, and FILE.pub that checks them",
    .run = create_key,
};
