/*
 * voice - calls: placed, ringing, answered, listening, ended
 *
 *     dial.c   POST /call: which numbers are called
 *     life.c   what each does: voice_ring() ... voice_end()
 *     posts.c  what is posted about it, and our XML that comes back
 *     media.c  the audio that our XML names
 *     calls.c  /_sim/calls and the voice part of /_sim/stats
 *
 * A call is an entry of the book (number, request, fate, duplicates) and a struct call of the same
 * index. While it is answered it has a leg too. A call keeps its own time, heard_ms: what the
 * callee hears takes that time divided by the fault number "speed", so that durations do not
 * depend on how busy the machine is.
 */
#ifndef SIM_VOICE_H
#define SIM_VOICE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "book.h"
#include "engine/poster.h"
#include "engine/server.h"
#include "engine/wheel.h"
#include "kinds.h"
#include "reports.h"

/* subject: index of the call */
#define TIMER_CALL_RUNG (TIMER_REPORT + 1)
#define TIMER_CALL_STEP (TIMER_REPORT + 2)
#define TIMER_CALL_POST (TIMER_REPORT + 3)

enum call_state { CALL_RINGING, CALL_ANSWERED, CALL_ENDED };

enum call_end {
    CALL_END_NONE,
    CALL_END_UNANSWERED,
    CALL_END_COMPLETED, /* the document came to its end */
    CALL_END_HUNG_UP,   /* by the callee, before that */
    CALL_END_DROPPED,   /* by the provider: no usable XML */
    CALL_ENDS,
};

#define CALL_KEYS_BYTES 8

struct call {
    uint32_t leg;                   /* from 1; 0 while there is none */
    uint32_t answered_ms, ended_ms; /* since the book was cleared */
    uint32_t heard_ms;
    int64_t amount_e4;
    uint8_t state;
    uint8_t end;
    bool told;                  /* its final post was answered 2xx */
    char keys[CALL_KEYS_BYTES]; /* the last digits pressed */
};

/* What follows when the callee has heard what there was. */
enum leg_next { LEG_HANG_UP, LEG_COMPLETE, LEG_DIGITS, LEG_REDIRECT };

struct leg {
    struct str xml;
    struct str url; /* of the next post; empty: SIM_VOICE_URL */
    char digits[16];
    uint32_t call;
    uint32_t next_free;    /* from 1 */
    uint32_t next_waiting; /* for the same audio; from 1 */
    uint8_t next;
    uint8_t presses;
};

/* What is posted. The first three are answered with XML. */
enum voice_post {
    VOICE_POST_ANSWERED,
    VOICE_POST_DIGITS,
    VOICE_POST_REDIRECT,
    VOICE_POST_FINAL,
    VOICE_EVENT_RINGING,
    VOICE_EVENT_ANSWERED,
    VOICE_EVENT_FINAL,
    VOICE_POSTS,
};

/* One audio file of ours. */
struct media {
    struct str url;
    char type[64];
    uint64_t bytes;
    int64_t failed_ms; /* of the loop */
    uint32_t fetches;
    uint32_t length_ms;
    uint32_t waiting; /* the first leg that waits for it, from 1 */
    int status;
    bool known;  /* fetched, or tried and failed */
    bool wanted; /* a fetch is queued or in flight */
};

#define MEDIA_MAX 4096
#define MEDIA_JOBS_MAX 65536

struct media_shelf {
    struct poster poster;
    struct media *media;
    uint32_t count;
    uint32_t *jobs; /* a ring of what is to be fetched */
    uint32_t job_first, job_count;
    uint32_t *in_flight; /* by the poster's slot */
    uint64_t fetched, failed, bytes, skipped;
};

/* Hosts of ours and their addresses. */
#define VOICE_ROUTES 16

struct route {
    char host[128];
    struct sockaddr_in address;
    bool known;
};

struct voice_flight {
    struct timer timer;
    int64_t started_us;
};

/* XML answers by the time they took. */
#define XML_STEP_US 100
#define XML_STEPS 100000

struct voice {
    struct book book;
    struct call *calls;
    struct leg *legs;
    uint32_t leg_used, leg_free;
    struct media_shelf shelf;
    struct route routes[VOICE_ROUTES];
    uint32_t route_count;

    struct poster poster;
    struct timer *due; /* a ring */
    uint32_t due_size, due_first, due_count;
    struct voice_flight *in_flight;

    uint64_t requests, placed, invalid, unsupported, no_credit, bad_caller, bad_callback;
    uint64_t outcomes[FAULT_COUNT];
    uint64_t ends[CALL_ENDS];
    uint64_t minutes;
    int64_t amount_e4;
    uint32_t ringing, live, live_max; /* live: ringing or answered */

    uint64_t posted[VOICE_POSTS];
    uint64_t planned, answered, retried, refused, broken, given_up, lost;
    uint64_t xml_read, xml_malformed, xml_count, xml_total_us, xml_max_us;
    char xml_problem[96];
    uint32_t *xml_times;

    int64_t first_placed_ms, last_placed_ms, first_mono_ms;
    uint32_t bucket_count;
    uint32_t *buckets;
};

struct sim;

bool voice_open(struct sim *sim, struct err *err) __attribute__((warn_unused_result));
void voice_close(struct sim *sim);
void voice_clear(struct sim *sim);
void voice_fire(struct sim *sim, const struct timer *timer);
bool voice_waits(const struct voice *voice);

/* Milliseconds of a call as milliseconds of the clock. */
int64_t voice_real_ms(const struct sim *sim, int64_t ms);

/* life.c. early: it rings for no time. */
void voice_ring(struct sim *sim, uint32_t index, bool early);

/* The XML of this call's leg is there, or the audio that it waited for. */
void voice_follow(struct sim *sim, uint32_t index);
void voice_end(struct sim *sim, uint32_t index, enum call_end end);
uint32_t voice_duration_s(const struct call *call);

/* posts.c. A copy's answer does not matter. */
bool voice_posts_open(struct sim *sim, struct err *err) __attribute__((warn_unused_result));
void voice_post(struct sim *sim, uint32_t index, enum voice_post kind, int64_t after_ms,
                bool is_copy);
void voice_post_due(struct sim *sim, const struct timer *timer);

/* The head and the address of a request to one of our URLs; false when it leads nowhere. */
bool voice_route(struct sim *sim, const char *method, const char *url, struct post *post);

/* media.c. NULL when there are too many. */
bool media_open(struct sim *sim, struct err *err) __attribute__((warn_unused_result));
void media_clear(struct sim *sim);
void media_close(struct sim *sim);
struct media *media_find(struct sim *sim, const char *url);

/* Is its length known? If not it is fetched and the call is followed again after. */
bool media_is_ready(struct sim *sim, struct media *media, uint32_t index);

/* Fetches it although it is known. */
void media_fetch_again(struct sim *sim, struct media *media);

/* calls.c */
void calls_id(const struct voice *voice, uint32_t index, char out[BOOK_ID_BYTES]);

/* The caller's number and the clientRequestId of a call; "" when there was none. */
void calls_request(const struct voice *voice, uint32_t index, char out_from[24],
                   const char **out_client_id);
void calls_put_stats(const struct sim *sim, struct str *out);
void calls_show(struct sim *sim, struct conn *conn, struct request *request);

#endif
