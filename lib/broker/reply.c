/*
 * reply - what the library and the broker answer, as errors
 */
#include <stdlib.h>
#include <string.h>

#include "wire.h"

/* Sorted by code. */
static const struct reply_row table[] = {
    { AMQP_STATUS_SSL_SET_ENGINE_FAILED, ERR_PERMANENT, "amqp_tls_engine" },
    { AMQP_STATUS_SSL_CONNECTION_FAILED, ERR_TEMPORARY, "amqp_tls_failed" },
    { AMQP_STATUS_SSL_PEER_VERIFY_FAILED, ERR_PERMANENT, "amqp_tls_untrusted" },
    { AMQP_STATUS_SSL_HOSTNAME_VERIFY_FAILED, ERR_PERMANENT, "amqp_tls_wrong_host" },
    { AMQP_STATUS_SSL_ERROR, ERR_TEMPORARY, "amqp_tls_error" },
    { AMQP_STATUS_TCP_SOCKETLIB_INIT_ERROR, ERR_PERMANENT, "amqp_socket_library" },
    { AMQP_STATUS_TCP_ERROR, ERR_TEMPORARY, "amqp_tcp_error" },
    { AMQP_STATUS_UNSUPPORTED, ERR_PERMANENT, "amqp_unsupported" },
    { AMQP_STATUS_BROKER_UNSUPPORTED_SASL_METHOD, ERR_PERMANENT, "amqp_no_common_login" },
    { AMQP_STATUS_SOCKET_INUSE, ERR_PERMANENT, "amqp_socket_in_use" },
    { AMQP_STATUS_SOCKET_CLOSED, ERR_TEMPORARY, "amqp_socket_closed" },
    { AMQP_STATUS_UNEXPECTED_STATE, ERR_TEMPORARY, "amqp_unexpected_state" },
    { AMQP_STATUS_HEARTBEAT_TIMEOUT, ERR_TEMPORARY, "amqp_heartbeat_missed" },
    { AMQP_STATUS_TIMER_FAILURE, ERR_PERMANENT, "amqp_timer" },
    { AMQP_STATUS_TIMEOUT, ERR_TEMPORARY, "amqp_no_answer" },
    { AMQP_STATUS_WRONG_METHOD, ERR_TEMPORARY, "amqp_wrong_method" },
    { AMQP_STATUS_TABLE_TOO_BIG, ERR_PERMANENT, "amqp_headers_too_long" },
    { AMQP_STATUS_INVALID_PARAMETER, ERR_PERMANENT, "amqp_invalid_parameter" },
    { AMQP_STATUS_SOCKET_ERROR, ERR_TEMPORARY, "amqp_socket_error" },
    { AMQP_STATUS_BAD_URL, ERR_PERMANENT, "amqp_bad_url" },
    { AMQP_STATUS_CONNECTION_CLOSED, ERR_TEMPORARY, "amqp_connection_closed" },
    { AMQP_STATUS_INCOMPATIBLE_AMQP_VERSION, ERR_PERMANENT, "amqp_other_version" },
    { AMQP_STATUS_HOSTNAME_RESOLUTION_FAILED, ERR_TEMPORARY, "amqp_unknown_host" },
    { AMQP_STATUS_UNKNOWN_METHOD, ERR_TEMPORARY, "amqp_unknown_method" },
    { AMQP_STATUS_UNKNOWN_CLASS, ERR_TEMPORARY, "amqp_unknown_class" },
    { AMQP_STATUS_BAD_AMQP_DATA, ERR_TEMPORARY, "amqp_bad_data" },
    { AMQP_STATUS_NO_MEMORY, ERR_TEMPORARY, "amqp_no_memory" },
    { AMQP_CONTENT_TOO_LARGE, ERR_PERMANENT, "amqp_content_too_large" },
    { AMQP_NO_ROUTE, ERR_PERMANENT, "amqp_no_route" },
    { AMQP_NO_CONSUMERS, ERR_TEMPORARY, "amqp_no_consumers" },
    { AMQP_CONNECTION_FORCED, ERR_TEMPORARY, "amqp_connection_forced" },
    { AMQP_INVALID_PATH, ERR_PERMANENT, "amqp_invalid_path" },
    { AMQP_ACCESS_REFUSED, ERR_PERMANENT, "amqp_access_refused" },
    { AMQP_NOT_FOUND, ERR_PERMANENT, "amqp_not_found" },
    { AMQP_RESOURCE_LOCKED, ERR_TEMPORARY, "amqp_resource_locked" },
    { AMQP_PRECONDITION_FAILED, ERR_PERMANENT, "amqp_precondition_failed" },
    { AMQP_FRAME_ERROR, ERR_PERMANENT, "amqp_frame_error" },
    { AMQP_SYNTAX_ERROR, ERR_PERMANENT, "amqp_syntax_error" },
    { AMQP_COMMAND_INVALID, ERR_PERMANENT, "amqp_command_invalid" },
    { AMQP_CHANNEL_ERROR, ERR_PERMANENT, "amqp_channel_error" },
    { AMQP_UNEXPECTED_FRAME, ERR_PERMANENT, "amqp_unexpected_frame" },
    { AMQP_RESOURCE_ERROR, ERR_TEMPORARY, "amqp_resource_error" },
    { AMQP_NOT_ALLOWED, ERR_PERMANENT, "amqp_not_allowed" },
    { AMQP_NOT_IMPLEMENTED, ERR_PERMANENT, "amqp_not_implemented" },
    { AMQP_INTERNAL_ERROR, ERR_TEMPORARY, "amqp_internal_error" },
};

static const struct reply_row other = { 0, ERR_TEMPORARY, "amqp_error" };

static int compare(const void *code, const void *row)
{
    int wanted = *(const int *)code;
    int found = ((const struct reply_row *)row)->code;

    return (wanted > found) - (wanted < found);
}

const struct reply_row *reply_find(int code)
{
    const struct reply_row *row =
        bsearch(&code, table, sizeof(table) / sizeof(*table), sizeof(*table), compare);

    return row != NULL ? row : &other;
}

const struct reply_row *reply_table(size_t *out_count)
{
    *out_count = sizeof(table) / sizeof(*table);
    return table;
}

static bool raise_row(const struct reply_row *row, const char *doing, const char *text, size_t len,
                      struct err *err)
{
    if (row->kind == ERR_PERMANENT) {
        return err_permanent(err, row->what, "%s: %.*s", doing, (int)len, text);
    }
    return err_temporary(err, row->what, "%s: %.*s", doing, (int)len, text);
}

bool reply_status(int status, const char *doing, struct err *err)
{
    const char *text = amqp_error_string2(status);

    return raise_row(reply_find(status), doing, text, strlen(text), err);
}

bool reply_ok(amqp_rpc_reply_t reply, const char *doing, struct err *err)
{
    const amqp_connection_close_t *connection = reply.reply.decoded;
    const amqp_channel_close_t *channel = reply.reply.decoded;

    switch (reply.reply_type) {
    case AMQP_RESPONSE_NORMAL:
        return true;
    case AMQP_RESPONSE_SERVER_EXCEPTION:
        if (reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
            return raise_row(reply_find(connection->reply_code), doing,
                             connection->reply_text.bytes, connection->reply_text.len, err);
        }
        if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
            return raise_row(reply_find(channel->reply_code), doing, channel->reply_text.bytes,
                             channel->reply_text.len, err);
        }
        return raise_row(&other, doing, "unexpected answer", strlen("unexpected answer"), err);
    case AMQP_RESPONSE_LIBRARY_EXCEPTION:
        return reply_status(reply.library_error, doing, err);
    case AMQP_RESPONSE_NONE:
        break;
    }
    return raise_row(&other, doing, "no answer", strlen("no answer"), err);
}
