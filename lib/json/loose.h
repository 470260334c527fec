/*
 * loose - a JSON document from a sender whose types wobble
 *
 * For documents that a shape would refuse as a whole for one odd member: a number here is a string
 * there, a member is missing, null or of another kind. The document is read into a tree and asked
 * for what it has.
 *
 *     const struct loose *root;
 *     if (!loose_read(body, len, &root, arena, &err)) ...
 *     const struct loose *callback = loose_member(loose_member(root, "Body"), "stkCallback");
 *     const char *code = loose_text(loose_member(callback, "ResultCode"));   // 0 and "0" alike
 *
 * A number's text is what the sender wrote ("50.00"), never passed through a float. Inside strings,
 * invalid UTF-8 becomes U+FFFD and raw control characters become spaces. Duplicate keys, NULs,
 * trailing bytes and all else that is not JSON are an error: permanent, "bad_json", and the detail
 * quotes nothing of the document.
 */
#ifndef JSON_LOOSE_H
#define JSON_LOOSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"

enum loose_kind {
    LOOSE_OTHER, /* null, true, false */
    LOOSE_TEXT,  /* a string or a number */
    LOOSE_LIST,
    LOOSE_OBJECT,
};

struct loose {
    enum loose_kind kind;
    const char *text;          /* LOOSE_TEXT */
    size_t count;              /* of a list's or object's items */
    const char **keys;         /* of an object */
    const struct loose *items; /* keys[i] belongs to items[i] */
};

/* Everything is in the arena: up to a hundred times len for a document of nothing but numbers. */
bool loose_read(const char *body, size_t len, const struct loose **out_root, struct arena *arena,
                struct err *err) __attribute__((warn_unused_result));

/* NULL when node is NULL, no object, or has no such member. */
const struct loose *loose_member(const struct loose *node, const char *key);

/* The text of a string or number; NULL for all else and for NULL. */
const char *loose_text(const struct loose *node);

/* "missing", "null or a boolean", "a list", "an object", "text": for an error's words. */
const char *loose_kind_name(const struct loose *node);

#endif
