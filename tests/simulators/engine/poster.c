/*
 * poster - posts to the receivers of callbacks over keep-alive connections
 */
#include "engine/poster.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/server.h"

#define PAUSE_MS 100
#define ANSWER_BYTES 8192

struct line {
    struct watch watch; /* first: a watch is its line */
    struct poster *poster;
    struct sockaddr_in address; /* connected to, or to be */
    struct str out;
    size_t sent;
    size_t head_len;      /* of out; what follows waits for body_from_ms */
    int64_t body_from_ms; /* 0: at once */
    struct str in;
    int64_t deadline_ms;
    bool busy;
    bool connecting;

    /* Of an answer that answered() gets: in holds the kept part of its body. */
    bool in_body;
    bool keep_alive;
    int status;
    int64_t body_len; /* -1: until the connection ends */
    int64_t body_got;
    char type[64];
};

static void line_ready(struct watch *watch, uint32_t events);

static uint32_t slot_of(const struct line *line)
{
    return (uint32_t)(line - line->poster->lines);
}

static void finish(struct line *line, int status)
{
    struct poster *poster = line->poster;

    line->busy = false;
    line->connecting = false;
    line->in_body = false;
    str_reset(&line->in);
    poster->idle[poster->idle_count++] = slot_of(line);
    if (status == 0) {
        loop_close(&line->watch);
        poster->paused_until_ms = poster->loop->now_ms + PAUSE_MS;
    }
    poster->done(poster->context, slot_of(line), status);
}

static void send_out(struct line *line)
{
    size_t until = line->body_from_ms > line->poster->loop->now_ms ? line->head_len : line->out.len;

    while (line->sent < until) {
        ssize_t count =
            send(line->watch.fd, line->out.bytes + line->sent, until - line->sent, MSG_NOSIGNAL);

        if (count < 0) {
            if (errno == EAGAIN) {
                loop_change(line->poster->loop, &line->watch, EPOLLOUT);
            } else {
                finish(line, 0);
            }
            return;
        }
        line->sent += (size_t)count;
    }
}

static void connect_line(struct line *line)
{
    struct poster *poster = line->poster;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        finish(line, 0);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    line->watch.fd = fd;
    if (connect(fd, (struct sockaddr *)&line->address, sizeof(line->address)) != 0 &&
        errno != EINPROGRESS) {
        finish(line, 0);
        return;
    }
    line->connecting = true;
    loop_add(poster->loop, &line->watch, EPOLLOUT);
}

static bool is_same_address(const struct sockaddr_in *a, const struct sockaddr_in *b)
{
    return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
}

static void start(struct line *line)
{
    struct poster *poster = line->poster;
    const struct post *post = &poster->post;

    line->busy = true;
    line->deadline_ms = poster->loop->now_ms + poster->timeout_ms;
    line->sent = 0;
    str_reset(&line->out);
    if (post->head.len > 0) {
        str_append(&line->out, post->head.bytes, post->head.len);
    } else {
        str_puts(&line->out, poster->head);
    }
    str_put_int(&line->out, (int64_t)post->body.len);
    str_puts(&line->out, "\r\n\r\n");
    line->head_len = line->out.len;
    line->body_from_ms = post->body_delay_ms > 0 ? poster->loop->now_ms + post->body_delay_ms : 0;
    str_append(&line->out, post->body.bytes, post->body.len);
    if (line->watch.fd >= 0 && !is_same_address(&line->address, &post->address)) {
        loop_close(&line->watch);
    }
    line->address = post->address;
    if (line->watch.fd < 0) {
        connect_line(line);
    } else {
        send_out(line);
    }
}

/* The value of a header in a head that ends in an empty line, or NULL. */
static const char *find_header(const char *head, const char *name)
{
    const char *at = strcasestr(head, name);

    return at == NULL ? NULL : at + strlen(name) + (at[strlen(name)] == ' ');
}

/* Handles the answer in line->in; false while it is not complete. */
static bool take_answer(struct line *line)
{
    char *bytes = line->in.bytes;
    char *blank = memmem(bytes, line->in.len, "\r\n\r\n", 4);
    const char *length;
    int64_t body = 0;
    bool keep = true;
    int status;

    if (blank == NULL || strncmp(bytes, "HTTP/1.", 7) != 0 || line->in.len < 12) {
        return false;
    }
    status = (bytes[9] - '0') * 100 + (bytes[10] - '0') * 10 + (bytes[11] - '0');
    blank[2] = '\0';
    length = find_header(bytes, "\r\ncontent-length:");
    if (length != NULL) {
        const char *end = strchr(length, '\r');

        keep =
            end != NULL && str_parse_int_n(length, (size_t)(end - length), 0, ANSWER_BYTES, &body);
    } else if (status != 204) {
        keep = false; /* chunked or until the end: the status is all we want */
    }
    keep = keep && strcasestr(bytes, "\r\nconnection: close\r\n") == NULL;
    blank[2] = '\r';
    if (keep && line->in.len < (size_t)(blank - bytes) + 4 + (size_t)body) {
        return false;
    }
    if (!keep) {
        loop_close(&line->watch);
    }
    finish(line, status);
    return true;
}

/* The head of an answer that is wanted whole, cut off from line->in; false while it is not there.
 */
static bool take_head(struct line *line)
{
    char *bytes = line->in.bytes;
    char *blank = memmem(bytes, line->in.len, "\r\n\r\n", 4);
    const char *value;
    size_t head;

    if (blank == NULL || strncmp(bytes, "HTTP/1.", 7) != 0 || line->in.len < 12) {
        return false;
    }
    head = (size_t)(blank - bytes) + 4;
    blank[2] = '\0';
    line->status = (bytes[9] - '0') * 100 + (bytes[10] - '0') * 10 + (bytes[11] - '0');
    line->type[0] = '\0';
    value = find_header(bytes, "\r\ncontent-type:");
    if (value != NULL && strcspn(value, "\r") < sizeof(line->type)) {
        memcpy(line->type, value, strcspn(value, "\r"));
        line->type[strcspn(value, "\r")] = '\0';
    }
    value = find_header(bytes, "\r\ncontent-length:");
    line->body_len = line->status == 204 ? 0 : -1;
    if (value != NULL &&
        !str_parse_int_n(value, strcspn(value, "\r"), 0, INT64_MAX, &line->body_len)) {
        line->body_len = -1;
    }
    line->keep_alive =
        line->body_len >= 0 && strcasestr(bytes, "\r\nconnection: close\r\n") == NULL;
    line->in_body = true;
    line->in.len -= head;
    line->body_got = (int64_t)line->in.len;
    memmove(bytes, bytes + head, line->in.len);
    return true;
}

static void end_whole(struct line *line)
{
    struct poster *poster = line->poster;
    struct poster_answer answer = { .status = line->status, .type = line->type };

    answer.kept = line->in.len < poster->keep_bytes ? line->in.len : poster->keep_bytes;
    *str_room(&line->in, 1) = '\0';
    line->in.bytes[answer.kept] = '\0';
    answer.body = line->in.bytes;
    answer.bytes = (uint64_t)line->body_got;
    if (!line->keep_alive) {
        loop_close(&line->watch);
    }
    poster->answered(poster->context, slot_of(line), &answer);
    finish(line, line->status);
}

/* Takes count more bytes that stand at the end of line->in. */
static void take_whole(struct line *line, size_t count)
{
    if (line->in_body) {
        line->body_got += (int64_t)count;
    } else if (!take_head(line)) {
        if (line->in.len > (size_t)4 * ANSWER_BYTES) {
            finish(line, 0);
        }
        return;
    }
    if (line->in.len > line->poster->keep_bytes) {
        line->in.len = line->poster->keep_bytes;
    }
    if (line->body_len >= 0 && line->body_got >= line->body_len) {
        end_whole(line);
    }
}

static void line_ready(struct watch *watch, uint32_t events)
{
    struct line *line = (struct line *)watch;
    ssize_t count;

    if (line->connecting) {
        int cause = 0;
        socklen_t len = sizeof(cause);

        if (getsockopt(watch->fd, SOL_SOCKET, SO_ERROR, &cause, &len) != 0 || cause != 0) {
            finish(line, 0);
            return;
        }
        line->connecting = false;
        loop_change(line->poster->loop, watch, EPOLLIN);
        send_out(line);
        return;
    }
    if ((events & EPOLLOUT) != 0) {
        loop_change(line->poster->loop, watch, EPOLLIN);
        send_out(line);
        return;
    }
    count = recv(watch->fd, str_room(&line->in, ANSWER_BYTES), ANSWER_BYTES - 1, 0);
    if (count < 0 && errno == EAGAIN) {
        return;
    }
    if (count <= 0 || !line->busy) {
        /* The other side ended an idle connection, or broke one whose answer we await. */
        if (count == 0 && line->in_body && line->body_len < 0) {
            end_whole(line);
            return;
        }
        str_reset(&line->in);
        if (line->busy) {
            finish(line, 0);
        } else {
            loop_close(watch);
        }
        return;
    }
    line->in.len += (size_t)count;
    line->in.bytes[line->in.len] = '\0';
    if (line->poster->answered != NULL) {
        take_whole(line, (size_t)count);
        return;
    }
    if (!take_answer(line) && line->in.len > (size_t)4 * ANSWER_BYTES) {
        finish(line, 0);
    }
}

bool poster_split(const char *url, char *out_host, size_t host_size, const char **out_path)
{
    size_t scheme = strncmp(url, "https://", 8) == 0 ? 8 : 7;
    const char *host = url + scheme;
    size_t len;

    if (scheme == 7 && strncmp(url, "http://", 7) != 0) {
        return false;
    }
    len = strcspn(host, "/");
    if (len == 0 || len >= host_size) {
        return false;
    }
    memcpy(out_host, host, len);
    out_host[len] = '\0';
    *out_path = host[len] == '\0' ? "/" : host + len;
    return true;
}

static bool read_url(struct poster *poster, const char *url, struct arena *arena, struct err *err)
{
    char host[256];
    const char *path;
    const char *address = host;

    if (strncmp(url, "http:", 5) != 0 || !poster_split(url, host, sizeof(host), &path)) {
        return err_permanent(err, "bad_url", "'%.100s' does not begin with http://<host>", url);
    }
    poster->head = arena_printf(arena,
                                "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: akka-http/10.2.10\r\n"
                                "Content-Type: application/x-www-form-urlencoded\r\n"
                                "Content-Length: ",
                                path, host);
    if (strchr(host, ':') == NULL) {
        address = arena_printf(arena, "%s:80", host);
    }
    return server_resolve(address, &poster->address, err);
}

bool poster_open(struct poster *poster, const char *url, uint32_t connections, struct arena *arena,
                 struct err *err)
{
    if (url != NULL && *url == '\0') {
        return true;
    }
    if (url != NULL && !read_url(poster, url, arena, err)) {
        return false;
    }
    poster->lines = arena_array(arena, connections, sizeof(struct line));
    poster->idle = arena_array(arena, connections, sizeof(uint32_t));
    poster->line_count = connections;
    for (uint32_t i = 0; i < connections; i++) {
        poster->lines[i] = (struct line){ .watch = { -1, line_ready }, .poster = poster };
        poster->idle[poster->idle_count++] = connections - 1 - i;
    }
    return true;
}

void poster_pump(struct poster *poster)
{
    while (poster->idle_count > 0 && poster->loop->now_ms >= poster->paused_until_ms) {
        uint32_t slot = poster->idle[poster->idle_count - 1];

        str_reset(&poster->post.body);
        str_reset(&poster->post.head);
        poster->post.address = poster->address;
        poster->post.body_delay_ms = 0;
        if (!poster->next(poster->context, slot, &poster->post)) {
            return;
        }
        poster->idle_count--;
        start(&poster->lines[slot]);
    }
}

void poster_tick(struct poster *poster)
{
    for (uint32_t i = 0; i < poster->line_count; i++) {
        struct line *line = &poster->lines[i];

        if (line->busy && poster->loop->now_ms >= line->deadline_ms) {
            finish(line, 0);
        } else if (line->busy && !line->connecting && line->sent == line->head_len) {
            send_out(line); /* a delayed body */
        }
    }
}

bool poster_is_busy(const struct poster *poster)
{
    return poster->idle_count < poster->line_count;
}

void poster_break(struct poster *poster)
{
    for (uint32_t i = 0; i < poster->line_count; i++) {
        struct line *line = &poster->lines[i];

        if (line->busy) {
            finish(line, 0);
        } else {
            loop_close(&line->watch);
        }
    }
    poster->paused_until_ms = 0;
}
