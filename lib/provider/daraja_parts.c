/*
 * daraja_parts - what the readers of M-Pesa's replies and of its callbacks share
 */
#include "provider/daraja_parts.h"

bool daraja_body_read(const char *body, size_t len, const struct loose **out_root,
                      struct arena *arena, struct err *err)
{
    const struct loose *root;

    if (len > DARAJA_BODY_BYTES_MAX) {
        return err_permanent(err, "body_too_long", "%zu bytes, at most %d allowed", len,
                             DARAJA_BODY_BYTES_MAX);
    }
    if (!loose_read(body, len, &root, arena, err)) {
        return false;
    }
    if (root->kind != LOOSE_OBJECT) {
        return err_permanent(err, "bad_field", "document: is %s, must be an object",
                             loose_kind_name(root));
    }
    *out_root = root;
    return true;
}

const char *daraja_text(const struct loose *node, const char *key)
{
    const char *text = loose_text(loose_member(node, key));

    return text != NULL ? text : "";
}

bool daraja_is_visible(const char *text, size_t max)
{
    size_t len = 0;

    while (text[len] > ' ' && text[len] <= '~') {
        len++;
    }
    return text[len] == '\0' && len >= 1 && len <= max;
}

bool daraja_is_id(const char *text)
{
    return daraja_is_visible(text, DARAJA_ID_BYTES_MAX);
}
