/*
 * fake_stage - the skeleton's stand-in: runs one stage's handler without a broker
 *
 *     static int start(void **state) { servers_start("postgres"); return 0; }
 *
 *     struct fake_stage *fake = fake_stage_start();          // fresh database, migrated
 *     fake_sql(fake, "INSERT INTO accounts …");
 *     assert_int_equal(fake_stage_send(fake, "campaign.rendered.v1", "m1", json), STAGE_DONE);
 *     assert_string_equal(fake_stage_out(fake, 0)->type, "campaign.reserved.v1");
 *     assert_int_equal(fake_number(fake, "SELECT count(*) FROM token_holds"), 1);
 *     fake_stage_stop(fake);
 *
 * Everything but the broker is real: the test links the stage's own object, whose main() hands its
 * descriptor to the stage_main() here, and lib/stage decodes, opens and commits the transaction
 * and derives the ids. The database is a private PostgreSQL (support/servers.h), one database per
 * fake_stage_start(). Settings come from the environment: setenv() what the stage requires before.
 *
 * Every message that is done is handled TWICE, and the test fails unless both times the same
 * outputs with the same ids were emitted: redelivery is tested by default. What a test looks at
 * afterwards is the second time. fake_stage_repeat(fake, false) turns that off.
 *
 * stage_wait_ms() moves the clock on instead of waiting.
 */
#ifndef FAKE_STAGE_H
#define FAKE_STAGE_H

#include "stage/stage.h"

struct fake_stage;

/* A message to handle; NULL and 0 mean the usual. */
struct fake_message {
    const char *type;
    const char *id;
    const char *json;
    const char *account;     /* slug; required for a partner */
    const char *correlation; /* the campaign */
    bool from_partner;
    bool high; /* lane */
    unsigned attempt;
    int64_t deadline_ms;
};

/* Something emitted. Valid until the next send, tick or stop. */
struct fake_output {
    const char *type;
    const char *id;
    const char *json;
    const char *exchange;
    const char *key;
    const char *route; /* NULL unless it travels per route */
    const char *account;
    const char *correlation;
    int64_t delay_ms; /* 0: at once */
};

/* Panics with the settings' problems. start() of the stage is called. */
struct fake_stage *fake_stage_start(void);
void fake_stage_stop(struct fake_stage *fake);

/* Closes the stage and opens it anew on the same database, as a new process would. */
void fake_stage_restart(struct fake_stage *fake);

/* From now on, until a restart, a run of provider requests has so long to begin them,
 * over two connections. */
void fake_stage_hurry(struct fake_stage *fake, long begin_within_ms);

void fake_stage_repeat(struct fake_stage *fake, bool twice);

/* The verdict, after the commit or rollback. A lost database is STAGE_RETRY, as with --once. */
enum verdict fake_stage_send(struct fake_stage *fake, const char *type, const char *id,
                             const char *json);
enum verdict fake_stage_give(struct fake_stage *fake, const struct fake_message *message);

/*
 * Messages of a stage that takes several, in one transaction; once only, whatever repeat says. Each
 * must be readable.
 */
enum verdict fake_stage_together(struct fake_stage *fake, const struct fake_message *messages,
                                 size_t count);

/* One tick, confirmed and committed. False: it failed; fake_stage_why() says how. */
bool fake_stage_tick(struct fake_stage *fake);

/* A tick whose commit is lost, as when the process dies after publishing. */
bool fake_stage_tick_lost(struct fake_stage *fake);

const char *fake_stage_why(const struct fake_stage *fake);    /* "" after done */
const char *fake_stage_detail(const struct fake_stage *fake); /* "" after done */

size_t fake_stage_emitted(const struct fake_stage *fake);
const struct fake_output *fake_stage_out(const struct fake_stage *fake, size_t index);
/* How many of this type. */
size_t fake_stage_emitted_of(const struct fake_stage *fake, const char *type);
/* The index-th of this type, decoded; panics when there is none or it does not decode. */
void fake_stage_read(struct fake_stage *fake, const struct shape *shape, size_t index, void *out);

/* Milliseconds that the last handler call waited. */
int64_t fake_stage_waited_ms(const struct fake_stage *fake);
/* Moves stage_now_ms() on; the database's own clock stays. */
void fake_stage_advance_ms(struct fake_stage *fake, int64_t ms);

/* A connection of the test's own, outside the stage's transaction. */
struct db *fake_db(struct fake_stage *fake);
void fake_sql(struct fake_stage *fake, const char *sql);
/* The first column of the first row; -1 when there is no row. */
int64_t fake_number(struct fake_stage *fake, const char *sql);
/* Likewise, text; NULL when there is none. Valid until the stop. */
const char *fake_text(struct fake_stage *fake, const char *sql);
/* Where the database is, e.g. for a program that checks it. */
const char *fake_url(const struct fake_stage *fake);

#endif
