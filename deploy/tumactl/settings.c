/*
 * settings - where the database and the broker are, read when a command first needs them
 *
 * A checkout in which deploy/quickstart runs has its settings in .tuma/env; they are taken when
 * DATABASE_URL is not in the environment, and never override a variable that is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf.h"
#include "ctl.h"

#define ENVIRONMENT_FILE ".tuma/env"
#define STATEMENT_MS 600000 /* operators' questions may scan whole tables */

struct db_settings {
    const char *url;
};
static const struct conf_item db_items[] = {
    CONF_SECRET(struct db_settings, url, "DATABASE_URL", NULL,
                "PostgreSQL: postgresql://user:password@host:port/name."),
    CONF_END,
};

struct amqp_settings {
    const char *url;
    const char *prefix;
};
static const struct conf_item amqp_items[] = {
    CONF_SECRET(struct amqp_settings, url, "AMQP_URL", NULL,
                "RabbitMQ: amqp://user:password@host:port/vhost."),
    CONF_STR(struct amqp_settings, prefix, "AMQP_PREFIX", "tuma",
             "What the names of all exchanges and queues begin with."),
    CONF_END,
};

void ctl_read_environment(struct ctl *ctl)
{
    char line[4096];
    FILE *file;

    if (conf_get("DATABASE_URL", ctl->arena)) {
        return;
    }
    file = fopen(ENVIRONMENT_FILE, "re");
    if (!file) {
        return;
    }
    while (fgets(line, sizeof line, file)) {
        char *equals = strchr(line, '=');

        line[strcspn(line, "\r\n")] = '\0';
        if (equals && *line != '#') {
            *equals = '\0';
            (void)setenv(line, equals + 1, 0); /* a name that cannot be one is nobody's setting */
        }
    }
    (void)fclose(file); /* read only */
}

/* All problems of a table, one line. */
static bool fail(struct str *problems, struct err *err)
{
    for (size_t i = 0; i < problems->len; i++) {
        if (problems->bytes[i] == '\n') {
            problems->bytes[i] = i + 1 < problems->len ? ';' : '\0';
        }
    }
    err_permanent(err, "settings", "%s", problems->bytes);
    str_free(problems);
    return false;
}

bool ctl_settings(struct ctl *ctl, const struct conf_item *items, void *out, struct err *err)
{
    struct str problems = { 0 };

    return conf_load(items, out, ctl->arena, &problems) || fail(&problems, err);
}

bool ctl_db(struct ctl *ctl, struct db **out_db, struct err *err)
{
    struct db_settings settings;

    if (!ctl->db) {
        if (!ctl_settings(ctl, db_items, &settings, err) ||
            !db_open(settings.url, "tumactl", &ctl->db, err) ||
            !db_set_timeout(ctl->db, STATEMENT_MS, err)) {
            return false;
        }
    }
    *out_db = ctl->db;
    return true;
}

bool ctl_prefix(struct ctl *ctl, struct err *err)
{
    struct amqp_settings settings;

    if (!ctl_settings(ctl, &amqp_items[1], &settings, err)) {
        return false;
    }
    ctl->amqp_prefix = settings.prefix;
    return true;
}

bool ctl_amqp(struct ctl *ctl, struct broker_conf *out_conf, struct err *err)
{
    struct amqp_settings settings;

    if (!ctl_settings(ctl, amqp_items, &settings, err)) {
        return false;
    }
    ctl->amqp_url = settings.url;
    ctl->amqp_prefix = settings.prefix;
    *out_conf = (struct broker_conf){ .url = settings.url, .name = "tumactl", .window = 32 };
    return true;
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c | 0x20) : NULL;

    return at ? (int)(at - digits) : -1;
}

const char *ctl_vhost(struct ctl *ctl)
{
    const char *url = conf_get("AMQP_URL", ctl->arena);
    const char *authority = url ? strstr(url, "://") : NULL;
    const char *path = authority ? strchr(authority + 3, '/') : NULL;
    char *vhost;
    size_t len = 0;

    if (!path || path[1] == '\0' || path[1] == '?') {
        return "/";
    }
    path++;
    vhost = arena_strdup(ctl->arena, path);
    for (; *path && *path != '?'; path++) {
        if (*path == '%' && hex_digit(path[1]) >= 0 && hex_digit(path[2]) >= 0) {
            vhost[len++] = (char)(hex_digit(path[1]) * 16 + hex_digit(path[2]));
            path += 2;
        } else {
            vhost[len++] = *path;
        }
    }
    vhost[len] = '\0';
    return vhost;
}
