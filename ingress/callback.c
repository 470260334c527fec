#include "callback.h"

#include <string.h>

#include "base/err.h"
#include "base/panic.h"
#include "crypto/crypto.h"
#include "http/http.h"
#include "msg/report.h"

#define PROVIDER "africastalking"
#define FORM_FIELDS_MAX 32

static const char *const kind_words[] = { "delivery", "incoming", "any" };

struct form {
    struct http_pair pairs[FORM_FIELDS_MAX];
    int count;
};

/* The value, or "" when absent. */
static const char *value(const struct form *form, const char *key)
{
    const char *found = http_form_find(form->pairs, form->count, key);

    return found != NULL ? found : "";
}

static bool has(const struct form *form, const char *key)
{
    return *value(form, key) != '\0';
}

/* The limits are the shape's own. */
bool callback_fits(const struct shape *shape, const void *in, struct err *err)
{
    for (const struct field *field = shape->fields; field->type != FIELD_TYPE_END; field++) {
        if (field->type != FIELD_TYPE_STR) {
            continue;
        }
        const char *text = *(const char *const *)(const void *)((const char *)in + field->offset);
        size_t len = strlen(text);
        bool may_miss = (field->flags & FIELD_OPTIONAL) != 0;
        if (len == 0 ? !may_miss && field->min > 0 : (int64_t)len > field->max) {
            return err_permanent(err, "bad_field", "%s is %s", field->name,
                                 len == 0 ? "missing" : "too long");
        }
        if (!str_is_utf8(text, len)) {
            return err_permanent(err, "bad_field", "%s is not UTF-8", field->name);
        }
    }
    return true;
}

/* The shape of one element of delivery.reported's list. */
static const struct shape *report_shape(void)
{
    for (const struct field *field = delivery_reported_v1.fields; field->type != FIELD_TYPE_END;
         field++) {
        if (field->type == FIELD_TYPE_LIST) {
            return field->shape;
        }
    }
    panic("delivery.reported has no list");
}

static bool read_report(const struct form *form, int64_t now_ms, struct str *json, struct err *err)
{
    const struct shape *shape = report_shape();
    const struct delivery_report report = {
        .id = value(form, "id"),
        .phone = value(form, "phoneNumber"),
        .status = value(form, "status"),
        .network = value(form, "networkCode"),
        .reason = value(form, "failureReason"),
        .received_ms = now_ms,
    };

    if (!callback_fits(shape, &report, err)) {
        return false;
    }
    shape_write(shape, &report, json);
    return true;
}

void callback_derive_id(const char *kind, const char *text, char out[ID_MESSAGE_BYTES])
{
    struct crypto_hash *hash = crypto_hash_begin();
    unsigned char digest[CRYPTO_SHA256_BYTES];

    crypto_hash_add(hash, PROVIDER "|", sizeof(PROVIDER "|") - 1);
    crypto_hash_add(hash, kind, strlen(kind) + 1);
    crypto_hash_add(hash, text, strlen(text));
    crypto_hash_end(hash, digest);
    id_hex(digest, (ID_MESSAGE_BYTES - 1) / 2, out);
}

/* The provider's opt-out notice has a number and the sender opted out of, and no id: it says STOP.
 */
static void read_opt_out(const struct form *form, int64_t now_ms, struct arena *scratch,
                         struct sms_received *inbound)
{
    inbound->from = value(form, "phoneNumber");
    inbound->to = value(form, "senderId");
    inbound->text = "STOP";
    inbound->id = arena_printf(scratch, "optout-%lld-%.32s", (long long)now_ms, inbound->from);
}

static bool is_opt_out(const struct form *form)
{
    return !has(form, "from") && has(form, "senderId") && has(form, "phoneNumber");
}

static bool read_inbound(const struct form *form, int64_t now_ms, struct arena *scratch,
                         struct str *json, char out_id[ID_MESSAGE_BYTES], struct err *err)
{
    struct sms_received inbound = {
        .provider = PROVIDER,
        .id = value(form, "id"),
        .from = value(form, "from"),
        .to = value(form, "to"),
        .text = value(form, "text"),
        .date = value(form, "date"),
        .link_id = value(form, "linkId"),
        .network = value(form, "networkCode"),
        .received_ms = now_ms,
    };

    if (is_opt_out(form)) {
        read_opt_out(form, now_ms, scratch, &inbound);
    }
    if (!callback_fits(&sms_received_v1, &inbound, err)) {
        return false;
    }
    shape_write(&sms_received_v1, &inbound, json);
    callback_derive_id("inbound", inbound.id, out_id);
    return true;
}

void callback_keep_misread(const char *kind, const char *body, size_t len, const char *why,
                           int64_t now_ms, struct arena *scratch, struct str *json,
                           char out_id[ID_MESSAGE_BYTES])
{
    size_t raw_len = len < CALLBACK_RAW_MAX ? len : CALLBACK_RAW_MAX;
    char *raw = arena_strndup(scratch, body, raw_len);
    const struct callback_misread misread = {
        .provider = PROVIDER,
        .kind = kind,
        .why = why,
        .raw = raw,
        .received_ms = now_ms,
    };

    for (size_t i = 0; i < raw_len; i++) {
        if (raw[i] == '\0') {
            raw[i] = (char)0xFF; /* not UTF-8: written as U+FFFD, where a NUL would end the text */
        }
    }
    shape_write(&callback_misread_v1, &misread, json);
    id_message(out_id);
}

static enum callback_kind decide(enum callback_kind kind, const struct form *form)
{
    if (kind != CALLBACK_ANY) {
        return kind;
    }
    if (has(form, "status")) {
        return CALLBACK_DELIVERY;
    }
    return has(form, "from") || is_opt_out(form) ? CALLBACK_INCOMING : CALLBACK_ANY;
}

void callback_read(enum callback_kind kind, const char *body, size_t len, int64_t now_ms,
                   struct arena *scratch, struct str *json, struct callback_read *out_read)
{
    struct form form;
    struct err err;
    bool made = false;

    arena_reset(scratch);
    str_reset(json);
    out_read->id[0] = '\0';
    form.count = http_form_read(body, len, form.pairs, FORM_FIELDS_MAX, scratch, &err);
    if (form.count >= 0) {
        switch (decide(kind, &form)) {
        case CALLBACK_DELIVERY:
            out_read->made = MADE_REPORT;
            made = read_report(&form, now_ms, json, &err);
            break;
        case CALLBACK_INCOMING:
            out_read->made = MADE_INBOUND;
            made = read_inbound(&form, now_ms, scratch, json, out_read->id, &err);
            break;
        case CALLBACK_ANY:
            err_permanent(&err, "bad_form", "neither status nor from is there");
            break;
        }
    }
    if (!made) {
        out_read->made = MADE_MISREAD;
        callback_keep_misread(kind_words[kind], body, len, err.detail, now_ms, scratch, json,
                              out_read->id);
    }
}

const struct shape *callback_shape(enum callback_made made)
{
    return made == MADE_INBOUND ? &sms_received_v1 : &callback_misread_v1;
}
