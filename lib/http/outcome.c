#include "http/outcome.h"

#include <curl/curl.h>

/*
 * The results an HTTP(S) transfer can end with. `early` is the word when no byte of the request was
 * sent, `late` when some were; a result that cannot come that way has the word of the other.
 * Codes of other protocols, and those that later versions add, are "http_failed".
 */
static const struct row {
    CURLcode code;
    const char *early, *late;
    bool caller; /* the caller's mistake: early, it will never work */
} rows[] = {
    { CURLE_UNSUPPORTED_PROTOCOL, "http_bad_url", "http_bad_reply", true },
    { CURLE_FAILED_INIT, "http_failed", "http_failed", false },
    { CURLE_URL_MALFORMAT, "http_bad_url", "http_bad_url", true },
    { CURLE_NOT_BUILT_IN, "http_bad_url", "http_failed", true },
    { CURLE_COULDNT_RESOLVE_PROXY, "http_resolve_failed", "http_resolve_failed", false },
    { CURLE_COULDNT_RESOLVE_HOST, "http_resolve_failed", "http_resolve_failed", false },
    { CURLE_COULDNT_CONNECT, "http_connect_failed", "http_connect_failed", false },
    { CURLE_WEIRD_SERVER_REPLY, "http_bad_reply", "http_bad_reply", false },
    { CURLE_REMOTE_ACCESS_DENIED, "http_failed", "http_failed", false },
    { CURLE_PARTIAL_FILE, "http_truncated", "http_truncated", false },
    { CURLE_HTTP_RETURNED_ERROR, "http_bad_reply", "http_bad_reply", false },
    { CURLE_WRITE_ERROR, "http_reply_too_long", "http_reply_too_long", false },
    { CURLE_UPLOAD_FAILED, "http_send_failed", "http_send_failed", false },
    { CURLE_READ_ERROR, "http_send_failed", "http_send_failed", false },
    { CURLE_OUT_OF_MEMORY, "http_no_memory", "http_no_memory", false },
    { CURLE_OPERATION_TIMEDOUT, "http_connect_timeout", "http_timeout", false },
    { CURLE_HTTP_POST_ERROR, "http_failed", "http_failed", false },
    { CURLE_SSL_CONNECT_ERROR, "http_tls_failed", "http_tls_failed", false },
    { CURLE_ABORTED_BY_CALLBACK, "http_connection_died", "http_connection_died", false },
    { CURLE_BAD_FUNCTION_ARGUMENT, "http_bad_call", "http_bad_call", true },
    { CURLE_INTERFACE_FAILED, "http_connect_failed", "http_connect_failed", false },
    { CURLE_TOO_MANY_REDIRECTS, "http_bad_reply", "http_bad_reply", false },
    { CURLE_GOT_NOTHING, "http_connection_died", "http_connection_died", false },
    { CURLE_SSL_ENGINE_NOTFOUND, "http_tls_failed", "http_tls_failed", false },
    { CURLE_SSL_ENGINE_SETFAILED, "http_tls_failed", "http_tls_failed", false },
    { CURLE_SEND_ERROR, "http_send_failed", "http_send_failed", false },
    { CURLE_RECV_ERROR, "http_receive_failed", "http_receive_failed", false },
    { CURLE_SSL_CERTPROBLEM, "http_tls_failed", "http_tls_failed", false },
    { CURLE_SSL_CIPHER, "http_tls_failed", "http_tls_failed", false },
    { CURLE_PEER_FAILED_VERIFICATION, "http_tls_failed", "http_tls_failed", false },
    { CURLE_BAD_CONTENT_ENCODING, "http_bad_reply", "http_bad_reply", false },
    { CURLE_FILESIZE_EXCEEDED, "http_reply_too_long", "http_reply_too_long", false },
    { CURLE_SEND_FAIL_REWIND, "http_connection_died", "http_connection_died", false },
    { CURLE_SSL_ENGINE_INITFAILED, "http_tls_failed", "http_tls_failed", false },
    { CURLE_LOGIN_DENIED, "http_failed", "http_failed", false },
    { CURLE_SSL_CACERT_BADFILE, "http_tls_failed", "http_tls_failed", false },
    { CURLE_SSL_SHUTDOWN_FAILED, "http_tls_failed", "http_tls_failed", false },
    { CURLE_AGAIN, "http_failed", "http_failed", false },
    { CURLE_SSL_CRL_BADFILE, "http_tls_failed", "http_tls_failed", false },
    { CURLE_SSL_ISSUER_ERROR, "http_tls_failed", "http_tls_failed", false },
    { CURLE_NO_CONNECTION_AVAILABLE, "http_connect_failed", "http_connect_failed", false },
    { CURLE_SSL_PINNEDPUBKEYNOTMATCH, "http_tls_failed", "http_tls_failed", false },
    { CURLE_SSL_INVALIDCERTSTATUS, "http_tls_failed", "http_tls_failed", false },
    { CURLE_RECURSIVE_API_CALL, "http_failed", "http_failed", false },
    { CURLE_AUTH_ERROR, "http_failed", "http_failed", false },
    { CURLE_PROXY, "http_connect_failed", "http_connect_failed", false },
    { CURLE_SSL_CLIENTCERT, "http_tls_failed", "http_tls_failed", false },
    { CURLE_UNRECOVERABLE_POLL, "http_failed", "http_failed", false },
};

static const struct row *find_row(int code)
{
    static const struct row other = { CURL_LAST, "http_failed", "http_failed", false };

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
