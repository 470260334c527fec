#include "msg/message.h"

#include <string.h>

#include "base/panic.h"

const char *const lane_words[] = { "high", "normal", NULL };

bool message_is(const struct message *in, const struct shape *shape)
{
    return strcmp(in->type, shape->type) == 0;
}

bool message_read(const struct message *in, const struct shape *shape, void *out, struct err *err)
{
    if (!message_is(in, shape)) {
        panic("message %s is a %s, read as a %s", in->id, in->type, shape->type);
    }
    return shape_read(shape, in->body, in->body_len, out, in->arena, err);
}
