#include "http/outcome.h"

#include <curl/curl.h>

/*
 * The results an HTTP(S) transfer can end with. `early` is the word when no byte of the request was
 * sent, `late` when some were; a result that cannot come that way has the word of the other.
 * Codes of other protocols, and those that later versions add, are "http_failed".
 */
static const struct row {
    CURLcode code;
    bool caller; /* the caller's mistake: early, it will never work */
    const char *early, *late;
} rows[] = {
    { CURLE_UNSUPPORTED_PROTOCOL, true, "http_bad_url", "http_bad_reply" },
    { CURLE_FAILED_INIT, false, "http_failed", "http_failed" },
    { CURLE_URL_MALFORMAT, true, "http_bad_url", "http_bad_url" },
    { CURLE_NOT_BUILT_IN, true, "http_bad_url", "http_failed" },
    { CURLE_COULDNT_RESOLVE_PROXY, false, "http_resolve_failed", "http_resolve_failed" },
    { CURLE_COULDNT_RESOLVE_HOST, false, "http_resolve_failed", "http_resolve_failed" },
    { CURLE_COULDNT_CONNECT, false, "http_connect_failed", "http_connect_failed" },
    { CURLE_WEIRD_SERVER_REPLY, false, "http_bad_reply", "http_bad_reply" },
    { CURLE_REMOTE_ACCESS_DENIED, false, "http_failed", "http_failed" },
    { CURLE_PARTIAL_FILE, false, "http_truncated", "http_truncated" },
    { CURLE_HTTP_RETURNED_ERROR, false, "http_bad_reply", "http_bad_reply" },
    { CURLE_WRITE_ERROR, false, "http_reply_too_long", "http_reply_too_long" },
    { CURLE_UPLOAD_FAILED, false, "http_send_failed", "http_send_failed" },
    { CURLE_READ_ERROR, false, "http_send_failed", "http_send_failed" },
    { CURLE_OUT_OF_MEMORY, false, "http_no_memory", "http_no_memory" },
    { CURLE_OPERATION_TIMEDOUT, false, "http_connect_timeout", "http_timeout" },
    { CURLE_HTTP_POST_ERROR, false, "http_failed", "http_failed" },
    { CURLE_SSL_CONNECT_ERROR, false, "http_tls_failed", "http_tls_failed" },
    { CURLE_ABORTED_BY_CALLBACK, false, "http_connection_died", "http_connection_died" },
    { CURLE_BAD_FUNCTION_ARGUMENT, true, "http_bad_call", "http_bad_call" },
    { CURLE_INTERFACE_FAILED, false, "http_connect_failed", "http_connect_failed" },
    { CURLE_TOO_MANY_REDIRECTS, false, "http_bad_reply", "http_bad_reply" },
    { CURLE_GOT_NOTHING, false, "http_connection_died", "http_connection_died" },
    { CURLE_SSL_ENGINE_NOTFOUND, false, "http_tls_failed", "http_tls_failed" },
    { CURLE_SSL_ENGINE_SETFAILED, false, "http_tls_failed", "http_tls_failed" },
    { CURLE_SEND_ERROR, false, "http_send_failed", "http_send_failed" },
    { CURLE_RECV_ERROR, false, "http_receive_failed", "http_receive_failed" },
    { CURLE_SSL_CERTPROBLEM, false, "http_tls_failed", "http_tls_failed" },
    { CURLE_SSL_CIPHER, false, "http_tls_failed", "http_tls_failed" },
    { CURLE_PEER_FAILED_VERIFICATION, false, "http_tls_failed", "http_tls_failed" },
    { CURLE_BAD_CONTENT_ENCODING, false, "http_bad_reply", "http_bad_reply" },
    { CURLE_FILESIZE_EXCEEDED, false, "http_reply_too_long", "http_reply_too_long" },
    { CURLE_SEND_FAIL_REWIND, false, "http_connection_died", "http_connection_died" },
    { CURLE_SSL_ENGINE_INITFAILED, false, "http_tls_failed", "http_tls_failed" },
    { CURLE_LOGIN_DENIED, false, "http_failed", "http_failed" },
    { CURLE_SSL_CACERT_BADFILE, false, "http_tls_failed", "http_tls_failed" },
    { CURLE_SSL_SHUTDOWN_FAILED, false, "http_tls_failed", "http_tls_failed" },
    { CURLE_AGAIN, false, "http_failed", "http_failed" },
    { CURLE_SSL_CRL_BADFILE, false, "http_tls_failed", "http_tls_failed" },
    { CURLE_SSL_ISSUER_ERROR, false, "http_tls_failed", "http_tls_failed" },
    { CURLE_NO_CONNECTION_AVAILABLE, false, "http_connect_failed", "http_connect_failed" },
    { CURLE_SSL_PINNEDPUBKEYNOTMATCH, false, "http_tls_failed", "http_tls_failed" },
    { CURLE_SSL_INVALIDCERTSTATUS, false, "http_tls_failed", "http_tls_failed" },
    { CURLE_RECURSIVE_API_CALL, false, "http_failed", "http_failed" },
    { CURLE_AUTH_ERROR, false, "http_failed", "http_failed" },
    { CURLE_PROXY, false, "http_connect_failed", "http_connect_failed" },
    { CURLE_SSL_CLIENTCERT, false, "http_tls_failed", "http_tls_failed" },
    { CURLE_UNRECOVERABLE_POLL, false, "http_failed", "http_failed" },
};

static const struct row *find_row(int code)
{
    static const struct row other = { CURL_LAST, false, "http_failed", "http_failed" };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if ((int)rows[i].code == code) {
            return &rows[i];
        }
    }
    return &other;
}

const char *http_outcome_what(int code, bool bytes_sent)
{
    const struct row *row = find_row(code);
    return bytes_sent ? row->late : row->early;
}

int http_outcome_codes(void)
{
    return (int)CURL_LAST;
}

enum http_sent http_outcome(int code, bool bytes_sent, const char *detail, struct err *err)
{
    const struct row *row = find_row(code);

    if (bytes_sent) {
        err_unknown(err, row->late, "%s", detail);
        return HTTP_UNKNOWN;
    }
    if (row->caller) {
        err_permanent(err, row->early, "%s", detail);
    } else {
        err_temporary(err, row->early, "%s", detail);
    }
    return HTTP_NOT_SENT;
}
