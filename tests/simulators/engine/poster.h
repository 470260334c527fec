/*
 * poster - posts to the receivers of callbacks over keep-alive connections
 *
 *     poster_open(&poster, "http://127.0.0.1:8080/hooks/x", 8, &err);
 *     each turn of the loop:  poster_pump(&poster);   // calls next() for every idle connection
 *                             poster_tick(&poster);   // now and then: time-outs, delayed bodies
 *
 * next() appends the body; a poster without a URL of its own also gets the address and the head
 * from it. A connection whose address is not the wanted one is made anew.
 *
 * One request at a time per connection; done() gets the HTTP status, or 0 when the connection
 * broke, and the slot that next() was called with. After a broken connection the poster waits a
 * little, so that a receiver that is down is not stormed.
 *
 * A poster with answered() reads whole answers, of any length, and shows each before done().
 *
 * Own code instead of libcurl: this posts one constant request and reads a status, and its CPU is
 * measured with the product's; README.md has the figures.
 */
#ifndef SIM_POSTER_H
#define SIM_POSTER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "engine/loop.h"

/* One request to make. Address and head are those of the poster's URL unless next() sets them. */
struct post {
    struct str body;
    struct str head; /* the request up to and with "Content-Length: "; empty: the poster's */
    struct sockaddr_in address;
    int64_t body_delay_ms; /* the body follows the head after this long */
};

/* Fills the post and returns true, or returns false when there is nothing to post. */
typedef bool (*poster_next_fn)(void *context, uint32_t slot, struct post *post);
typedef void (*poster_done_fn)(void *context, uint32_t slot, int status);

/* A whole answer; the body and the type are those of this call only. */
struct poster_answer {
    int status;
    const char *type; /* of the body; "" when it was not told */
    const char *body; /* its first bytes, NUL after them */
    size_t kept;      /* how many those are: keep_bytes at most */
    uint64_t bytes;   /* of the whole body */
};

typedef void (*poster_answered_fn)(void *context, uint32_t slot,
                                   const struct poster_answer *answer);

struct line;

struct poster {
    struct loop *loop;
    poster_next_fn next;
    poster_done_fn done;
    poster_answered_fn answered; /* or NULL: the status is all that is wanted */
    size_t keep_bytes;           /* of each body, for answered() */
    void *context;
    long timeout_ms;

    struct sockaddr_in address;
    const char *head; /* the request up to and with "Content-Length: " */
    struct line *lines;
    uint32_t line_count;
    uint32_t *idle;
    uint32_t idle_count;
    int64_t paused_until_ms;
    struct post post;
};

/*
 * The arena must live as long as the poster. An empty URL makes a poster that never posts, NULL one
 * that learns the address and the head of each post from next().
 */
bool poster_open(struct poster *poster, const char *url, uint32_t connections, struct arena *arena,
                 struct err *err) __attribute__((warn_unused_result));

void poster_pump(struct poster *poster);
void poster_tick(struct poster *poster);

/* Is an answer awaited? Then poster_tick() wants to be called. */
bool poster_is_busy(const struct poster *poster);

/* The parts of "http://host:port/path", or https; the path points into the URL, the host is copied.
 */
bool poster_split(const char *url, char *out_host, size_t host_size, const char **out_path);

/* Breaks every connection; done() is called for each request in flight. */
void poster_break(struct poster *poster);

#endif
