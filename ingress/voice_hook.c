#include "voice_hook.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "alarms.h"
#include "base/clock.h"
#include "base/panic.h"
#include "provider/at_voice_xml.h"
#include "server.h"
#include "voice_cache.h"
#include "voice_content.h"
#include "voice_post.h"
#include "voice_watch.h"

#define HOOK_ARENA_MAX ((size_t)4 << 20)
#define SAY_EVERY_MS 10000 /* of each thing that goes wrong with every call */

enum phase { PHASE_BODY, PHASE_LARGE, PHASE_WAIT };

/* One post. Shared by its visit and what it waits for; the last one gives it back. */
struct hook {
    struct hook *next_free;
    struct voice_hooks *hooks;
    struct visit *visit; /* until woken */
    atomic_int refs;
    atomic_int pending; /* what is waited for */
    atomic_bool woken;
    atomic_bool answered; /* the database did */
    atomic_int outcome;   /* enum publish_outcome */
    int64_t began_us;
    struct arena *arena;
    struct str json;
    struct voice_post post;
    bool is_known; /* campaign */
    struct voice_campaign campaign;
    char campaign_id[ID_TEXT_BYTES];
    struct parcel parcel;
    struct alarm alarm;
    struct voice_question question;
};

struct voice_hooks {
    struct app *app;
    struct voice_cache *cache;
    struct voice_watch *watch;
    struct alarms *keeping, *asking; /* how long is waited for the broker, the database */
    struct log log;
    _Atomic int64_t said_ms;
    struct metric *kept[VOICE_MADE_COUNT][2];
    struct metric *answers[VOICE_SOURCES], *answer_time;
    pthread_mutex_t lock; /* what follows */
    struct hook *free;
    int count;
};

/* --- making and ending --------------------------------------------------------------------------
 */

static void count_things(struct voice_hooks *hooks)
{
    static const char *const made[VOICE_MADE_COUNT][2] = {
        [VOICE_ASKS] = { "made=\"call_asks\",kept=\"no\"", NULL }, /* nothing is kept of it */
        [VOICE_KEYS] = { "made=\"call_keys\",kept=\"no\"", "made=\"call_keys\",kept=\"yes\"" },
        [VOICE_ENDED] = { "made=\"call_end\",kept=\"no\"", "made=\"call_end\",kept=\"yes\"" },
        [VOICE_INBOUND] = { "made=\"call_inbound\",kept=\"no\"", NULL },
        [VOICE_MISREAD] = { "made=\"misread\",kept=\"no\"", "made=\"misread\",kept=\"yes\"" },
    };
    static const char *const sources[VOICE_SOURCES] = {
        [VOICE_CONTENT] = "source=\"memory\"",    [VOICE_LOOKED_UP] = "source=\"database\"",
        [VOICE_FALLBACK] = "source=\"fallback\"", [VOICE_GOODBYE] = "source=\"goodbye\"",
        [VOICE_REFUSAL] = "source=\"refusal\"",
    };
    struct metrics *metrics = hooks->app->metrics;

    for (int i = 0; i < VOICE_MADE_COUNT; i++) {
        for (int kept = 0; kept < 2 && made[i][kept] != NULL; kept++) {
            hooks->kept[i][kept] =
                metrics_counter(metrics, "callbacks_total",
                                "Provider callbacks by what was made of them.", made[i][kept]);
        }
    }
    for (int i = 0; i < VOICE_SOURCES; i++) {
        hooks->answers[i] =
            metrics_counter(metrics, "voice_answers_total",
                            "What callees were given to hear, by where it came from.", sources[i]);
    }
    hooks->answer_time = metrics_histogram(metrics, "voice_answer_seconds",
                                           "From a whole post of a live call to its answer.", "");
}

struct voice_hooks *voice_hooks_create(struct app *app)
{
    struct voice_hooks *hooks = calloc(1, sizeof(*hooks));

    if (hooks == NULL) {
        panic("out of memory");
    }
    hooks->app = app;
    hooks->said_ms = clock_mono_ms() - SAY_EVERY_MS;
    log_context(&hooks->log, "stage", "ingress");
    count_things(hooks);
    pthread_mutex_init(&hooks->lock, NULL);
    hooks->cache = voice_cache_create();
    hooks->keeping = alarms_create(VOICE_KEEP_MS);
    hooks->asking = alarms_create(VOICE_ASK_MS);
    hooks->watch = voice_watch_create(app->settings, app->metrics, hooks->cache);
    return hooks;
}

void voice_hooks_stop(struct voice_hooks *hooks)
{
    if (hooks == NULL) {
        return;
    }
    voice_watch_destroy(hooks->watch);
    alarms_destroy(hooks->keeping);
    alarms_destroy(hooks->asking);
    hooks->watch = NULL;
    hooks->keeping = hooks->asking = NULL;
}

void voice_hooks_destroy(struct voice_hooks *hooks)
{
    if (hooks == NULL) {
        return;
    }
    while (hooks->free != NULL) {
        struct hook *hook = hooks->free;
        hooks->free = hook->next_free;
        arena_destroy(hook->arena);
        str_free(&hook->json);
        free(hook);
    }
    voice_cache_destroy(hooks->cache);
    pthread_mutex_destroy(&hooks->lock);
    free(hooks);
}

/* --- a post's own memory ------------------------------------------------------------------------
 */

/* NULL when there are too many. */
static struct hook *take_hook(struct voice_hooks *hooks, struct visit *visit)
{
    pthread_mutex_lock(&hooks->lock);
    struct hook *hook = hooks->free;
    bool may_grow = hook == NULL && hooks->count < VOICE_HOOKS_MAX;
    if (hook != NULL) {
        hooks->free = hook->next_free;
    } else if (may_grow) {
        hooks->count++;
    }
    pthread_mutex_unlock(&hooks->lock);
    if (may_grow) {
        hook = calloc(1, sizeof(*hook));
        if (hook == NULL) {
            panic("out of memory");
        }
        hook->arena = arena_create(HOOK_ARENA_MAX);
    }
    if (hook != NULL) {
        hook->hooks = hooks;
        hook->visit = visit;
        hook->refs = 1;
        hook->pending = 1;
        hook->woken = false;
        hook->answered = false;
        hook->outcome = PUBLISH_AWAY;
        hook->is_known = false;
        hook->began_us = clock_mono_us();
    }
    return hook;
}

static void drop_hook(struct hook *hook)
{
    struct voice_hooks *hooks = hook->hooks;

    if (--hook->refs > 0) {
        return;
    }
    arena_reset(hook->arena);
    pthread_mutex_lock(&hooks->lock);
    hook->next_free = hooks->free;
    hooks->free = hook;
    pthread_mutex_unlock(&hooks->lock);
}

/* Once: the visit is its own again afterwards. */
static void wake(struct hook *hook)
{
    if (!atomic_exchange(&hook->woken, true)) {
        server_resume(hook->visit);
    }
}

static void done_one(struct hook *hook)
{
    if (--hook->pending == 0) {
        wake(hook);
    }
}

/* --- what is waited for -------------------------------------------------------------------------
 */

static void on_settled(struct parcel *parcel, enum publish_outcome outcome)
{
    struct hook *hook = parcel->context;

    metric_add(hook->hooks->kept[hook->post.made][outcome == PUBLISH_CONFIRMED], 1);
    hook->outcome = (int)outcome;
    done_one(hook);
    drop_hook(hook);
}

static void on_answered(struct voice_question *question, bool answered)
{
    struct hook *hook = question->context;

    hook->answered = answered;
    done_one(hook);
    drop_hook(hook);
}

static void on_alarm(struct alarm *alarm)
{
    struct hook *hook = alarm->context;

    wake(hook);
    drop_hook(hook);
}

static void publish(struct hook *hook)
{
    hook->parcel = (struct parcel){
        .shape = voice_post_shape(&hook->post),
        .lane = LANE_NORMAL,
        .correlation = hook->campaign_id[0] != '\0' ? hook->campaign_id : NULL,
        .body = hook->json.bytes,
        .body_len = hook->json.len,
        .settled = on_settled,
        .context = hook,
    };
    memcpy(hook->parcel.id, hook->post.id, sizeof(hook->parcel.id));
    hook->refs++;
    hook->pending++;
    publish_send(hook->hooks->app->publisher, &hook->parcel);
}

static struct voice_key key_of(const struct hook *hook)
{
    return (struct voice_key){
        .campaign = hook->post.campaign,
        .msisdn = hook->post.call.msisdn,
        .session = hook->post.call.session_id,
    };
}

static void look_in_memory(struct hook *hook)
{
    const struct voice_key key = key_of(hook);

    hook->is_known =
        voice_cache_find(hook->hooks->cache, &key, clock_now_ms(), hook->arena, &hook->campaign);
}

static void ask(struct hook *hook)
{
    hook->question = (struct voice_question){
        .key = key_of(hook),
        .until_us = hook->began_us + VOICE_ASK_MS * INT64_C(1000),
        .done = on_answered,
        .context = hook,
    };
    hook->refs++;
    hook->pending++;
    if (!voice_watch_ask(hook->hooks->watch, &hook->question)) {
        hook->refs--;
        hook->pending--;
    }
}

/* --- answering ----------------------------------------------------------------------------------
 */

static enum MHD_Result answer_xml(struct visit *visit, const struct str *xml)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(xml->len, xml->bytes, MHD_RESPMEM_MUST_COPY);

    if (response == NULL ||
        MHD_add_response_header(response, "Content-Type", AT_XML_CONTENT_TYPE) != MHD_YES) {
        panic("cannot make an answer");
    }
    enum MHD_Result result = MHD_queue_response(visit->connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

/* Nobody needs to read for each call what is wrong with all of them. */
static void say_trouble(struct hook *hook, const struct voice_hearer *hearer, const struct err *err)
{
    int64_t now_ms = clock_mono_ms();
    int64_t said_ms = hook->hooks->said_ms;
    char id[ID_TEXT_BYTES];

    if (now_ms - said_ms >= SAY_EVERY_MS &&
        atomic_compare_exchange_strong(&hook->hooks->said_ms, &said_ms, now_ms)) {
        id_format("cmp", hearer->campaign->id, id);
        log_warn(&hook->hooks->log, "call_without_content", KV_STR("campaign", id),
                 KV_STR("why", err->what), KV_STR("detail", err->detail));
    }
}

static enum voice_source write_answer(struct hook *hook, struct str *xml)
{
    const bool was_known = hook->is_known;
    struct err err;

    if (!was_known && hook->answered) {
        look_in_memory(hook);
    }
    const struct voice_hearer hearer = {
        .post = &hook->post,
        .campaign = hook->is_known ? &hook->campaign : NULL,
        .is_nobody = !hook->is_known && hook->answered,
        .arena = hook->arena,
    };
    enum voice_source source =
        voice_content_write(hook->hooks->app->settings, &hearer, clock_now_ms(), xml, &err);
    if (hearer.campaign != NULL && source != VOICE_CONTENT) {
        say_trouble(hook, &hearer, &err);
    }
    return source == VOICE_CONTENT && !was_known ? VOICE_LOOKED_UP : source;
}

static enum MHD_Result answer_live(struct visit *visit)
{
    struct hook *hook = visit->voice;
    struct voice_hooks *hooks = hook->hooks;
    struct str xml = { 0 };

    metric_add(hooks->answers[write_answer(hook, &xml)], 1);
    enum MHD_Result result = answer_xml(visit, &xml);
    str_free(&xml);
    metric_observe_us(hooks->answer_time, clock_mono_us() - hook->began_us);
    return result;
}

static enum MHD_Result answer(struct visit *visit)
{
    struct hook *hook = visit->voice;
    bool is_kept = hook->json.len == 0 || hook->outcome == PUBLISH_CONFIRMED;
    enum MHD_Result result =
        hook->post.is_active
            ? answer_live(visit)
            : server_answer_canned(visit, is_kept ? CANNED_EMPTY : CANNED_UNAVAILABLE);

    voice_end(visit);
    return result;
}

/* --- a visit's turns ----------------------------------------------------------------------------
 */

/* Of a live call, all that may be waited for; what is not there in time is done without. */
static enum MHD_Result wait_or_answer(struct visit *visit)
{
    struct hook *hook = visit->voice;
    bool is_ready = publish_is_ready(hook->hooks->app->publisher);
    bool is_leaving = server_is_draining(visit->server);
    bool is_ours = hook->post.made == VOICE_ASKS || hook->post.made == VOICE_KEYS;
    bool is_kept = hook->json.len > 0 && is_ready;

    if (is_ours) {
        look_in_memory(hook);
    }
    bool asks = is_ours && !hook->is_known && !is_leaving;
    if (!is_kept) {
        metric_add(hook->hooks->kept[hook->post.made][false], 1);
    }
    bool waits = (is_kept && !is_leaving) || asks;
    if (!waits) {
        hook->woken = true; /* nobody sleeps */
        if (is_kept) {
            publish(hook);
        }
        return answer(visit);
    }
    visit->phase = PHASE_WAIT;
    hook->refs++; /* until here is done with it */
    server_suspend(visit);
    hook->alarm = (struct alarm){ .ring = on_alarm, .context = hook };
    hook->refs++;
    alarms_set(asks ? hook->hooks->asking : hook->hooks->keeping, &hook->alarm);
    if (is_kept) {
        publish(hook);
    }
    if (asks) {
        ask(hook);
    }
    done_one(hook);
    drop_hook(hook);
    return MHD_YES;
}

static enum MHD_Result keep_or_refuse(struct visit *visit)
{
    struct hook *hook = visit->voice;

    if (hook->json.len == 0) {
        metric_add(hook->hooks->kept[hook->post.made][false], 1);
        return answer(visit);
    }
    if (server_is_draining(visit->server)) {
        voice_end(visit);
        return server_answer_canned(visit, CANNED_STOPPING);
    }
    if (!publish_is_ready(hook->hooks->app->publisher)) {
        metric_add(hook->hooks->kept[hook->post.made][false], 1);
        return answer(visit);
    }
    visit->phase = PHASE_WAIT;
    hook->refs++;
    server_suspend(visit);
    publish(hook);
    done_one(hook);
    drop_hook(hook);
    return MHD_YES;
}

static enum MHD_Result take_post(struct visit *visit)
{
    const struct voice_said said = {
        .campaign =
            MHD_lookup_connection_value(visit->connection, MHD_GET_ARGUMENT_KIND, "campaign"),
        .step = MHD_lookup_connection_value(visit->connection, MHD_GET_ARGUMENT_KIND, "step"),
    };
    struct hook *hook = take_hook(server_app(visit->server)->voice, visit);

    if (hook == NULL) {
        return server_answer_canned(visit, CANNED_UNAVAILABLE);
    }
    visit->voice = hook;
    voice_post_read(visit->raw.bytes != NULL ? visit->raw.bytes : "", visit->raw.len, &said,
                    clock_now_ms(), hook->arena, &hook->json, &hook->post);
    str_reset(&visit->raw);
    hook->campaign_id[0] = '\0';
    if (hook->post.campaign != 0) {
        id_format("cmp", hook->post.campaign, hook->campaign_id);
    }
    return hook->post.is_active ? wait_or_answer(visit) : keep_or_refuse(visit);
}

static enum MHD_Result step_voice(struct visit *visit, const char *data, size_t *size)
{
    if (visit->phase == PHASE_WAIT) {
        return answer(visit);
    }
    if (*size == 0) {
        return visit->phase == PHASE_LARGE ? server_answer_canned(visit, CANNED_TOO_LARGE)
                                           : take_post(visit);
    }
    if (visit->phase == PHASE_BODY && visit->raw.len + *size <= BODY_CALLBACK_MAX) {
        str_append(&visit->raw, data, *size);
    } else if (visit->phase == PHASE_BODY) { /* chunked, so only now it shows */
        visit->phase = PHASE_LARGE;
        visit->content_length = 0;
    } else { /* reads on a little, so that the client comes to hear the answer */
        visit->content_length += *size;
        if (visit->content_length > BODY_CALLBACK_MAX) {
            return MHD_NO;
        }
    }
    *size = 0;
    return MHD_YES;
}

bool voice_begin(struct visit *visit, const char *path, const char *method, const struct head *head,
                 enum MHD_Result *out_result)
{
    const char *rest = path + sizeof(VOICE_PATH) - 1;

    if (strncmp(path, VOICE_PATH, sizeof(VOICE_PATH) - 1) != 0 || (*rest != '/' && *rest != '\0')) {
        return false;
    }
    str_reset(&visit->raw);
    visit->step = step_voice;
    visit->phase = PHASE_BODY;
    *out_result = MHD_YES;
    if (!callbacks_has_token(visit, rest)) {
        *out_result = server_answer_canned(visit, CANNED_FORBIDDEN);
    } else if (strcmp(method, "POST") != 0) {
        *out_result = server_answer_canned(visit, CANNED_BAD_METHOD);
    } else if (head->content_length != LENGTH_CHUNKED && head->content_length > BODY_CALLBACK_MAX) {
        *out_result = server_answer_canned(visit, CANNED_TOO_LARGE);
    }
    return true;
}

void voice_end(struct visit *visit)
{
    struct hook *hook = visit->voice;

    visit->voice = NULL;
    drop_hook(hook);
}
