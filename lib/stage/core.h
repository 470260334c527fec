/*
 * core - what the files of the skeleton, and the harness of the stage tests, share
 *
 * Not for stages: they see stage.h. Here are the structs behind it and the pieces that run a
 * handler without a broker, so that the loop, --once and tests/stage/fake_stage.c run the same
 * code:
 *
 *     envelope_read(stage, &delivery, queue, lane, &envelope);
 *     handle_message(stage, &envelope.in, &outputs, &handled);
 *     for (struct output *out = outputs.first; out != NULL; out = out->next) ...
 */
#ifndef STAGE_CORE_H
#define STAGE_CORE_H

#include "base/id.h"
#include "broker/broker.h"
#include "msg/topic.h"
#include "stage/stage.h"

/* The shared settings: every stage has them. */
struct stage_settings {
    const char *database_url;
    const char *amqp_url;
    const char *prefix;
    const char *log_level;
    const char *metrics_listen; /* "" for none */
    long prefetch;              /* 0: the stage's own */
    long attempts;
};
extern const struct conf_item stage_settings_items[];

enum output_state {
    OUTPUT_WAITS,     /* to be published, for the first time or again */
    OUTPUT_SENT,      /* given to the publisher, not confirmed */
    OUTPUT_CONFIRMED, /* the broker has it */
};

/* A reason in snake_case, with its NUL. */
#define WHY_BYTES 64

#define OUTPUT_HEADERS_MAX 14

/* One message to publish: something emitted, or a copy of the input on its way to a delay queue
 * or to the parked ones. Everything it points to lives in the arena of its list. */
struct output {
    struct output *next;
    struct flight *flight;     /* whose it is; NULL without a broker */
    const struct topic *topic; /* NULL for a copy of the input */
    const char *route;         /* NULL unless it travels per route */
    const char *account;       /* "" for none */
    int64_t delay_ms;          /* as asked for; 0 at once */
    enum output_state state;
    struct broker_message message; /* its headers are set when it is published */
    struct broker_header headers[OUTPUT_HEADERS_MAX];
    size_t header_count;
};

/* What one handler call emits, in order. */
struct outputs {
    struct arena *arena;
    struct output *first, *last;
    unsigned count;
    unsigned position; /* of the next one without a key */
};

struct stage {
    const struct stage_def *def;
    const struct stage_settings *settings;
    const void *conf;
    const char *route;    /* NULL when not routed */
    struct arena *memory; /* for the process's life */
    struct arena *arena;  /* for the message in hand */
    void *state;
    bool started; /* start() succeeded: stop() is due */
    struct log log;
    struct db *db;
    struct http *http; /* NULL unless def->uses_http */
    struct metrics *metrics;
    bool (*wait)(struct stage *stage, int64_t ms);
    void *wait_context;

    /* The message in hand. */
    const struct message *in; /* NULL in start(), tick() and stop() */
    struct outputs *out;      /* NULL where nothing may be emitted */
    char why[WHY_BYTES];
    char detail[200];
};

/* A delivery as the skeleton understands it. Strings are borrowed from the delivery or live in the
 * arena given. */
struct envelope {
    struct message in;
    const char *queue;           /* it was taken from */
    const char *origin_exchange; /* it was first published to, also after a retry */
    const char *origin_key;
    const char *origin_user; /* "" when the publisher did not say */
};

/* What became of one call of the handler. */
struct handled {
    enum verdict verdict;
    bool undecided; /* the database failed under it: call again, nothing happened */
    const char *why;
    const char *detail; /* both "" after STAGE_DONE; valid until the next call */
    int64_t handle_us;
    int64_t commit_us;
};

/* outputs.c */
void outputs_begin(struct outputs *outputs, struct arena *arena);
struct output *outputs_add(struct outputs *outputs);
void output_header(struct output *out, const char *key, const char *text); /* skips "" */
void output_header_int(struct output *out, const char *key, int64_t num);

/* emit.c */
void emit_output(struct stage *stage, const struct topic *topic, const void *body,
                 const struct emission *how);
/* Hex of the first half of sha256("a|b|c"). */
void derive_id(const char *a, const char *b, const char *c, char out[ID_MESSAGE_BYTES]);
/* "00-<trace>-<span>-01": the trace of parent, or one of its own; the span is of this id. */
const char *derive_trace(struct arena *arena, const char *parent, const char *id);
bool trace_is_valid(const char *traceparent);

/* envelope.c */

/* False, with *out_why and detail, when the message can only be parked; envelope is filled so far
 * that it can be. */
bool envelope_read(const struct stage *stage, const struct broker_delivery *delivery,
                   const char *queue, enum lane lane, struct arena *arena,
                   struct envelope *envelope, const char **out_why, char detail[200]);

/* handle.c */
void handle_message(struct stage *stage, const struct message *in, struct outputs *outputs,
                    struct handled *handled);
/* Several messages in one transaction, for def->handle_many; nothing is emitted. */
void handle_together(struct stage *stage, const struct message *const *in, size_t count,
                     struct handled *handled);
/* Kills the process when it is not disarmed within twice the deadline. */
void watchdog_arm(const struct stage *stage);
void watchdog_disarm(void);

/* refuse.c: copies of the input, for later or for a person. */
void output_retry(struct stage *stage, const struct envelope *envelope, struct outputs *outputs,
                  const char *why, int delay_s);
void output_park(struct stage *stage, const struct envelope *envelope, struct outputs *outputs,
                 const char *verdict, const char *why, const char *detail);
int retry_delay_s(unsigned attempt);

/* context.c */
const char *verdict_word(enum verdict verdict);

/* Connects and calls def->start() in a transaction; used by workers and --once. */
bool stage_open(struct stage *stage, const char *name, struct err *err);
void stage_close(struct stage *stage);

/* settings.c: fills stage->settings, stage->conf and the log level. */
bool settings_load(struct stage *stage, struct str *problems);

/* Most worker processes of one stage on one machine. */
#define WORKERS_MAX 64

/* How a stage was started. */
struct options {
    bool describe, check, once, drain;
    long workers;      /* 0: by the setting */
    const char *route; /* NULL: each that the stage has, with so many workers */
    const char *lane;  /* "high", "normal", "both" */
};

/* The queues of one worker, as names and lanes. */
struct lanes {
    size_t count;
    const char *queues[LANE_COUNT];
    enum lane lanes[LANE_COUNT];
};
void lanes_pick(struct stage *stage, bool high, bool normal, struct lanes *lanes);

/* Fetched ahead per lane when neither the stage nor STAGE_PREFETCH says otherwise. */
#define PREFETCH_USUAL 4

void def_check(const struct stage_def *def);                       /* def.c: panics */
void describe(const struct stage_def *def, struct str *out);       /* describe.c */
int check(struct stage *stage, const struct options *options);     /* check.c */
int once(struct stage *stage);                                     /* once.c */
int supervise(struct stage *stage, const struct options *options); /* supervisor.c */
/* Before the signals are unblocked: one that comes early is not to kill the worker. */
void signals_install(void);
int worker_run(struct stage *stage, const struct options *options, long index, long workers);

/* Exit statuses: sysexits.h for start-up, qmail's for --once. */
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 64, EXIT_SETTINGS = 78 };
enum { EXIT_ONCE_REJECT = 100, EXIT_ONCE_RETRY = 111 };

#ifdef CRASH_POINTS
void crash_disarm(void);
#else
#define crash_disarm() ((void)0)
#endif

#endif
