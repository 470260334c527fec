/*
 * log - one logfmt line per outcome, on stderr
 *
 *     log_info(log, "batch_done", KV_INT("sent", 500), KV_STR("route", "sms"));
 *
 *     ts=2026-11-20T09:12:44.031Z level=info stage=send-sms event=batch_done sent=500 route=sms
 *
 * event and the keys are stable snake_case; prose goes into a value named detail. A struct log
 * carries context (stage, msg, trace) that every line repeats. Values from outside are escaped
 * and cut at 200 bytes. Never log bodies, secrets or whole phone numbers: log_mask() them.
 * One write() per line, so lines of several processes do not mix.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

enum kv_type { KV_END, KV_TYPE_STR, KV_TYPE_INT };

struct kv {
    enum kv_type type;
    const char *key;
    union {
        const char *str; /* NULL prints as an empty value */
        int64_t num;
    };
};

#define KV_STR(k, v) ((struct kv){ .type = KV_TYPE_STR, .key = (k), .str = (v) })
#define KV_INT(k, v) ((struct kv){ .type = KV_TYPE_INT, .key = (k), .num = (v) })

#define LOG_CONTEXT_MAX 8
#define LOG_CONTEXT_BYTES 64

/* Context values are copied; a NULL or empty value is left out. Zero-initialised is valid. */
struct log {
    struct {
        const char *key; /* a literal */
        char value[LOG_CONTEXT_BYTES];
    } context[LOG_CONTEXT_MAX];
};

/* Sets or replaces one pair of the context; NULL removes it. */
void log_context(struct log *log, const char *key, const char *value);

/* Process-wide: lines above this level are dropped. Names: error warn info debug. */
void log_set_level(enum log_level level);
bool log_parse_level(const char *name, enum log_level *out_level);
bool log_enabled(enum log_level level);

void log_write(const struct log *log, enum log_level level, const char *event, const struct kv *kv);

/*
 * "+254700000123" becomes "**********123": the last three characters stay. Text of up to five
 * characters is masked whole, long text is shortened to fit, NULL gives "".
 */
#define LOG_MASK_BYTES 24
const char *log_mask(const char *text, char out[LOG_MASK_BYTES]);

#define log_at(log, level, event, ...)                                                             \
    log_write((log), (level), (event),                                                             \
              (const struct kv[]){ __VA_ARGS__ __VA_OPT__(, ){ .type = KV_END } })
#define log_error(log, event, ...) log_at((log), LOG_ERROR, (event)__VA_OPT__(, ) __VA_ARGS__)
#define log_warn(log, event, ...) log_at((log), LOG_WARN, (event)__VA_OPT__(, ) __VA_ARGS__)
#define log_info(log, event, ...) log_at((log), LOG_INFO, (event)__VA_OPT__(, ) __VA_ARGS__)
#define log_debug(log, event, ...) log_at((log), LOG_DEBUG, (event)__VA_OPT__(, ) __VA_ARGS__)

#endif
