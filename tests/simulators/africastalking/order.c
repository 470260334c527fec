/*
 * order - what a send request asks for, however it was encoded
 */
#include "order.h"

#include <jansson.h>
#include <string.h>

#include "engine/form.h"

static int code_of_enqueue(const char *enqueue)
{
    return strcmp(enqueue, "1") == 0 ? 102 : 101;
}

/* Repeated fields keep their last value, as at the provider. */
static void read_form(struct request *request, struct order *order)
{
    struct form form = { request->body, request->body + request->body_len };
    char *name;
    char *value;

    order->accepted_code = 101;
    while (form_next(&form, &name, &value)) {
        if (strcmp(name, "username") == 0) {
            order->username = value;
        } else if (strcmp(name, "to") == 0) {
            order->to = value;
        } else if (strcmp(name, "message") == 0) {
            order->message = value;
        } else if (strcmp(name, "from") == 0) {
            order->sender = value;
        } else if (strcmp(name, "enqueue") == 0) {
            order->accepted_code = code_of_enqueue(value);
        }
    }
}

/* Cuts "a,b,c" at its commas. */
static void split_numbers(struct arena *arena, struct order *order)
{
    size_t count = 1;
    char *at = order->to;

    for (const char *c = order->to; *c != '\0'; c++) {
        count += *c == ',';
    }
    order->numbers = arena_array(arena, count, sizeof(char *));
    while (order->count < count) {
        char *comma = strchr(at, ',');

        if (comma != NULL) {
            *comma = '\0';
        }
        order->numbers[order->count++] = at + strspn(at, " ");
        at = comma == NULL ? at : comma + 1;
    }
}

/* The JSON form. The strings are copied; false when a member is missing or of another type. */
static bool read_json(const struct request *request, struct arena *arena, struct order *order)
{
    json_t *root = json_loadb(request->body, request->body_len, 0, NULL);
    const char *username = json_string_value(json_object_get(root, "username"));
    const char *message = json_string_value(json_object_get(root, "message"));
    const char *sender = json_string_value(json_object_get(root, "senderId"));
    const json_t *numbers = json_object_get(root, "phoneNumbers");
    const json_t *enqueue = json_object_get(root, "enqueue");
    bool ok = username != NULL && message != NULL && json_is_array(numbers);

    if (ok) {
        order->username = arena_strdup(arena, username);
        order->message = arena_strdup(arena, message);
        order->sender = sender == NULL ? NULL : arena_strdup(arena, sender);
        order->count = json_array_size(numbers);
        order->numbers = arena_array(arena, order->count + 1, sizeof(char *));
        /* The bulk endpoint queues by default and was seen to answer 100. */
        order->accepted_code =
            json_is_integer(enqueue) && json_integer_value(enqueue) == 0 ? 101 : 100;
        for (size_t i = 0; i < order->count; i++) {
            const char *number = json_string_value(json_array_get(numbers, i));

            order->numbers[i] = arena_strdup(arena, number == NULL ? "" : number);
        }
    }
    json_decref(root);
    return ok;
}

int order_read(struct request *request, struct arena *arena, struct order *out_order,
               const char **out_problem)
{
    const char *missing = NULL;

    *out_order = (struct order){ 0 };
    if (strncmp(request->type, "application/json", 16) == 0) {
        if (strcmp(request->path, "/version1/messaging/bulk") != 0) {
            *out_problem = "The request's Content-Type is not supported. Expected:\n"
                           "application/x-www-form-urlencoded";
            return 415;
        }
        if (!read_json(request, arena, out_order)) {
            *out_problem = "The request content was malformed:\nbad JSON";
            return 400;
        }
        return 0;
    }
    read_form(request, out_order);
    if (out_order->username == NULL) {
        missing = "username";
    } else if (out_order->to == NULL || *out_order->to == '\0') {
        missing = "to";
    } else if (out_order->message == NULL || *out_order->message == '\0') {
        missing = "message";
    }
    if (missing != NULL) {
        *out_problem = arena_printf(arena, "Request is missing required form field '%s'", missing);
        return 400;
    }
    split_numbers(arena, out_order);
    return 0;
}
