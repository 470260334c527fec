/*
 * outcome - what a libcurl result says about the request
 *
 * Private to lib/http and its test. A request counts as not sent only where that is proven: libcurl
 * handed none of its bytes to the socket (CURLINFO_REQUEST_SIZE is 0). No result code proves it by
 * itself: CURLE_OPERATION_TIMEDOUT may come before the connection or after the request, and
 * CURLE_SEND_ERROR after a first part of it went out. With TLS the proof holds as well: the size
 * grows when the TLS library took a record, and a peer cannot read an incomplete one.
 */
#ifndef HTTP_OUTCOME_H
#define HTTP_OUTCOME_H

#include "base/err.h"
#include "http/http.h"

/* The stable word for a CURLcode ("http_timeout"); never NULL, whatever the code. */
const char *http_outcome_what(int code, bool bytes_sent);

/* One more than the highest code of this libcurl. */
int http_outcome_codes(void);

/* Classifies a failed call and fills err; detail is libcurl's text. */
enum http_sent http_outcome(int code, bool bytes_sent, const char *detail, struct err *err);

#endif
