/*
 * render_template_scene - what the tests of render-template share: campaigns that receive rows
 */
#ifndef STAGE_RENDER_TEMPLATE_SCENE_H
#define STAGE_RENDER_TEMPLATE_SCENE_H

#include "msg/campaign.h"
#include "msg/event.h"
#include "scene.h"

#define SUBMITTED "campaign.submitted.v1"
#define RECIPIENTS "recipients.submitted.v1"
#define CLOSED "campaign.closed.v1"
#define RENDERED "campaign.rendered.v1"
#define CHANGED "campaign.changed.v1"
#define JSON_BYTES 65536

/* The row that the ingress makes before it publishes. */
__attribute__((unused)) static int64_t receiving(struct fake_stage *fake,
                                                 const char *message_template)
{
    int64_t id = scene_id();

    scene_sql(fake,
              "INSERT INTO campaigns (id, account_id, reference, status, title, message_template,"
              "                       country)"
              " VALUES (%lld, 1, 'ref %lld', 'receiving', 'A title', '%s', 'KE')",
              (long long)id, (long long)id, message_template);
    return id;
}

__attribute__((unused)) __attribute__((format(printf, 3, 4))) static enum verdict
say(struct fake_stage *fake, const char *type, const char *fmt, ...)
{
    static char json[JSON_BYTES];
    va_list args;

    va_start(args, fmt);
    vsnprintf(json, sizeof json, fmt, args);
    va_end(args);
    return fake_stage_send(fake, type, scene_message(), json);
}

/* columns and rows are JSON arrays. */
__attribute__((unused)) static enum verdict give_chunk(struct fake_stage *fake, int64_t id,
                                                       int chunk, int first_row,
                                                       const char *columns, const char *rows)
{
    return say(fake, RECIPIENTS,
               "{\"campaign\":\"%s\",\"chunk\":%d,\"first_row\":%d,\"columns\":%s,\"rows\":%s}",
               scene_name(id), chunk, first_row, columns, rows);
}

__attribute__((unused)) static enum verdict give_close(struct fake_stage *fake, int64_t id,
                                                       int chunks)
{
    return say(fake, CLOSED, "{\"campaign\":\"%s\",\"chunks\":%d}", scene_name(id), chunks);
}

__attribute__((unused)) static int64_t of(struct fake_stage *fake, int64_t id, const char *column)
{
    return scene_number(fake, "SELECT %s FROM campaigns WHERE id = %lld", column, (long long)id);
}

__attribute__((unused)) static const char *detail_of(struct fake_stage *fake, int64_t id)
{
    return scene_text(fake, "SELECT detail FROM campaigns WHERE id = %lld", (long long)id);
}

__attribute__((unused)) static const char *reject_of(struct fake_stage *fake, int64_t id, int seq)
{
    return scene_text(fake,
                      "SELECT reason FROM campaign_rejects WHERE campaign_id = %lld AND seq = %d",
                      (long long)id, seq);
}

#endif
