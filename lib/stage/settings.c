/* settings - the settings every stage has, and the loading of all */
#include "base/panic.h"
#include "stage/core.h"

const struct conf_item stage_settings_items[] = {
    CONF_SECRET(struct stage_settings, database_url, "DATABASE_URL", NULL,
                "PostgreSQL, the system of record: postgresql://user:password@host:port/name."),
    CONF_SECRET(struct stage_settings, amqp_url, "AMQP_URL", NULL,
                "RabbitMQ: amqp://user:password@host:port/vhost, or amqps://."),
    CONF_STR(struct stage_settings, prefix, "AMQP_PREFIX", "tuma",
             "What the names of all exchanges and queues begin with."),
    CONF_STR(struct stage_settings, log_level, "LOG_LEVEL", "info",
             "Lines above this level are dropped: error, warn, info or debug."),
    CONF_STR(struct stage_settings, metrics_listen, "METRICS_LISTEN", "",
             "host:port to serve /metrics and /healthz on; empty for none."),
    CONF_INT(struct stage_settings, prefetch, "STAGE_PREFETCH", "0", 0, 1000,
             "Messages fetched ahead per lane; 0 leaves it to the stage."),
    CONF_INT(struct stage_settings, attempts, "STAGE_ATTEMPTS", "10", 1, 1000,
             "Tries of a message before it is parked."),
    CONF_END,
};

/* What the table cannot check. A setting that is wrong already has no value. */
static void check_values(const struct stage_settings *settings, struct str *problems)
{
    enum log_level level;

    if (settings->log_level != NULL && log_parse_level(settings->log_level, &level)) {
        log_set_level(level);
    } else if (settings->log_level != NULL) {
        str_printf(problems, "LOG_LEVEL: '%.20s' is none of error, warn, info, debug\n",
                   settings->log_level);
    }
    if (settings->prefix != NULL && settings->prefix[0] == '\0') {
        str_puts(problems, "AMQP_PREFIX: empty, a name is required\n");
    }
}

bool settings_load(struct stage *stage, struct str *problems)
{
    struct stage_settings *settings = arena_alloc(stage->memory, sizeof *settings);
    const struct stage_def *def = stage->def;
    const size_t before = problems->len;

    conf_load(stage_settings_items, settings, stage->memory, problems);
    check_values(settings, problems);
    stage->settings = settings;
    if (def->conf != NULL) {
        void *conf = arena_alloc(stage->memory, def->conf_size);
        conf_load(def->conf, conf, stage->memory, problems);
        stage->conf = conf;
    }
    return problems->len == before;
}
