/*
 * campaign - the messages of a campaign's way down the chain
 *
 * Facts, never commands. Ids of campaigns are text here ("cmp_…", see base/id.h).
 * A campaign is named by `campaign` (the ingress has stored its row) or by a partner's own
 * `reference`; one of the two is there. schemas/ describes the same documents for the outside.
 */
#ifndef MSG_CAMPAIGN_H
#define MSG_CAMPAIGN_H

#include <stdint.h>

#include "json/shape.h"

/* Limits that the REST API, the AMQP intake and the schemas share. */
#define CAMPAIGN_TITLE_MAX 200
#define CAMPAIGN_TEMPLATE_MAX 6400 /* bytes: 1,600 characters of four bytes */
#define CAMPAIGN_REFERENCE_MAX 128
#define CAMPAIGN_COLUMNS_MAX 64
#define CAMPAIGN_COLUMN_MAX 64 /* bytes of a column's name */
#define CAMPAIGN_CELL_MAX 4096
#define CAMPAIGN_MISSING_DEFAULT_MAX 200
#define CAMPAIGN_CHUNK_ROWS 1000 /* rows in one recipients.submitted */
#define CAMPAIGN_CHUNKS_MAX 100000
#define BATCH_SIZE_MAX 2000
#define SENDER_ID_MAX 16 /* 11 letters, or a phone number with its plus */

/* A voice campaign's own. */
#define CAMPAIGN_ATTEMPTS_MAX 10
#define CAMPAIGN_RETRY_S_MAX 86400
#define CAMPAIGN_REPEATS_MAX 5
#define CAMPAIGN_WAIT_S_MAX 60
#define CAMPAIGN_ANSWERS_MAX 12 /* 0 to 9, '*' and '#' */
#define CAMPAIGN_LABEL_MAX 100
#define CAMPAIGN_CLOSING_MAX 300 /* bytes of what is said at the end */
#define CAMPAIGN_SAY_VOICE_MAX 64
#define CAMPAIGN_SAY_MAX 2000 /* characters of a text that is spoken */

enum channel { CHANNEL_SMS, CHANNEL_VOICE };
extern const char *const channel_words[]; /* "sms" "voice" NULL */

enum missing_policy { MISSING_BLOCK, MISSING_SKIP, MISSING_DEFAULT };
extern const char *const missing_words[]; /* "block" "skip" "default" NULL */

/* What is heard and asked in a call; message_template is spoken unless audio is named. */
struct campaign_voice {
    const char *audio;      /* "aud_…"; "" none */
    const char *say_voice;  /* "man", "woman" or a provider's name; "" its own */
    int64_t attempts;       /* calls to one who does not answer; 0: as the operator has set */
    int64_t retry_after_s;  /* pause before the second call, longer each time; 0: as set */
    int64_t below_percent;  /* whoever listened to less is called once more; 0: nobody */
    const char *repeat_key; /* "1": hear it again; "" none */
    int64_t repeats;        /* how often that works; 0 with a key: once */
    const char *stop_key;   /* "9": no more calls or messages; "" none */
    struct map answers;     /* key: what it means */
    int64_t wait_s;         /* how long a key is waited for; 0: 10 */
    const char *thanks;     /* said after an answer; "" nothing */
    const char *stopped;    /* said after the stop key; "" nothing */
};

/*
 * A campaign on the other channel for whoever the first did not reach: within its quote and hold.
 * There is one when anything is said of it; then it has a text or an audio.
 */
#define CAMPAIGN_FOLLOW_WORDS_MAX 6
#define CAMPAIGN_FOLLOW_WORD_MAX 16
struct campaign_follow_up {
    struct strings when; /* ends of the first's recipients; none: the usual, see follow_up.c */
    const char *message_template;
    const char *sender_id;
    struct campaign_voice voice; /* when the first is an SMS */
};

/*
 * campaign.submitted.v1: the definition of a campaign, with its recipients inline (rows present)
 * or following in `chunks` recipients.submitted (0 with no rows: campaign.closed will tell).
 * The column "phone" is required; the others are template fields.
 */
struct campaign_submitted {
    const char *campaign;
    const char *reference;
    const char *title;
    int channel;                 /* enum channel */
    struct campaign_voice voice; /* of CHANNEL_VOICE only */
    struct campaign_follow_up follow_up;
    const char *message_template; /* spoken, by voice; then "" with an audio */
    const char *sender_id; /* "" means the account's default; by voice the number that calls */
    int missing;           /* enum missing_policy */
    const char *missing_default; /* text for MISSING_DEFAULT */
    bool keep_whitespace;        /* default: runs of white space are folded */
    const char *country;         /* ISO code for numbers without one; "" means the account's */
    bool hold;                   /* stop at the quote, wait for a launch */
    int64_t scheduled_at;        /* 0: now */
    int64_t expires_at;          /* 0: never; after it nothing more is sent */
    int64_t chunks;
    struct strings columns;
    struct table rows;
};

/* recipients.submitted.v1: rows first_row … first_row + n - 1 of the input; rows and chunks count
 * from 1. */
struct recipients_submitted {
    const char *campaign;
    const char *reference;
    int64_t chunk;
    int64_t first_row;
    struct strings columns;
    struct table rows;
};

/* campaign.closed.v1: that many chunks there are. */
struct campaign_closed {
    const char *campaign;
    const char *reference;
    int64_t chunks;
};

/* campaign.rendered, .launched, .reserved, .resumed, .cancelled: the row says the rest. */
struct campaign_fact {
    const char *campaign;
};

/* batch.ready, .placed (calls only: none of this pass is left to place), .done. batch counts from 1
 * within its campaign; size is an upper bound of recipients: what the pacing charges. */
struct batch_fact {
    const char *campaign;
    int64_t batch;
    int64_t size;
};

/*
 * batch.paced.v1: leave to send until expires_at, its name on the wire (0: without limit). While
 * the route is held only the batch that probes it may be sent.
 */
struct batch_paced {
    const char *campaign;
    int64_t batch;
    int64_t size;
    int64_t expires_at_ms;
    int64_t per_second; /* the rate it was let through at; 0: no limit */
    bool probe;
};

extern const struct shape campaign_submitted_v1;
extern const struct shape recipients_submitted_v1;
extern const struct shape campaign_closed_v1;
extern const struct shape campaign_rendered_v1;
extern const struct shape campaign_launched_v1;
extern const struct shape campaign_reserved_v1;
extern const struct shape campaign_resumed_v1;
extern const struct shape campaign_cancelled_v1;
extern const struct shape batch_ready_v1;
extern const struct shape batch_paced_v1;
extern const struct shape batch_placed_v1;
extern const struct shape batch_done_v1;

#endif
