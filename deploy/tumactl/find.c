/*
 * find - accounts and campaigns by the words people use, and how values are shown
 */
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "ctl.h"

static const struct db_statement only_account = {
    "ctl_only_account",
    "SELECT id FROM accounts WHERE status = 'active' ORDER BY id LIMIT 2",
    0,
};

/* Without --account or --user it must be clear anyway: there is one account. */
static bool find_only(struct ctl *ctl, int64_t *out_id, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(ctl->db, &only_account, NULL, &found, err)) {
        return false;
    }
    if (db_rows(found) != 1) {
        return db_rows(found) == 0
                   ? err_permanent(err, "account_unknown",
                                   "there is no account yet; see tumactl help account create")
                   : ctl_usage(err, "%s needs --account SLUG: there are several accounts",
                               ctl->command->name);
    }
    *out_id = db_get_int(found, 0, 0);
    return true;
}

bool ctl_account(struct ctl *ctl, struct account *out_account, struct err *err)
{
    const char *slug = ctl_option(ctl, "account");
    const char *user = ctl_option(ctl, "user");
    const char *name = slug ? slug : user;
    struct db *db;
    int64_t id = 0;
    bool found;

    if (slug && user) {
        return ctl_usage(err, "give --account or --user, not both");
    }
    if (user && !strchr(user, '@')) {
        return ctl_usage(err, "--user: '%.60s' is no e-mail address", user);
    }
    if (!ctl_db(ctl, &db, err) || (!name && !find_only(ctl, &id, err)) ||
        !account_find(db, name, id, ctl->arena, out_account, &found, err)) {
        return false;
    }
    return found || err_permanent(err, "account_unknown", "there is no account '%.60s'", name);
}

bool ctl_campaign_id(const char *text, int64_t *out_id, struct err *err)
{
    return id_parse("cmp", text, out_id) || id_parse("msg", text, out_id) ||
           ctl_usage(err, "'%.40s' is no campaign's id; they look like cmp_06ETQ5S0K3P1V", text);
}

bool ctl_campaign(struct ctl *ctl, const char *text, struct campaign_view *out_view,
                  struct err *err)
{
    struct db *db;
    int64_t id;
    bool found;

    if (!ctl_campaign_id(text, &id, err) || !ctl_db(ctl, &db, err) ||
        !campaign_find(db, 0, id, ctl->arena, out_view, &found, err)) {
        return false;
    }
    return found || err_permanent(err, "campaign_unknown", "there is no campaign %.40s", text);
}

const char *ctl_time(struct ctl *ctl, int64_t ms)
{
    char text[CLOCK_RFC3339_BYTES];

    if (ms == 0) {
        return "-";
    }
    clock_format(ms, text);
    return arena_printf(ctl->arena, "%.10s %.8s", text, text + 11);
}

const char *ctl_number(struct ctl *ctl, int64_t number)
{
    const char *digits = arena_printf(ctl->arena, "%lld", (long long)number);
    size_t len = strlen(digits);
    char *out = arena_alloc(ctl->arena, len + len / 3 + 1);
    size_t at = 0;

    for (size_t i = 0; i < len; i++) {
        if (i > 0 && digits[i - 1] != '-' && (len - i) % 3 == 0) {
            out[at++] = ',';
        }
        out[at++] = digits[i];
    }
    out[at] = '\0';
    return out;
}
