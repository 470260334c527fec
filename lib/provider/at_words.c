/*
 * at_words - the provider's codes and words, and what they mean to us
 *
 * From the developer pages of Africa's Talking and recorded replies. The sets are open: words are
 * added without notice, so no lookup here may fail a callback or lose a recipient.
 */
#include <string.h>
#include <strings.h>

#include "base/panic.h"
#include "provider/africastalking.h"

/*
 * An unknown code is in doubt, not refused: the provider accepted the request as a whole, and only
 * a code that we know says that this recipient was not sent to.
 */
const struct at_code at_codes[] = {
    { 100, "Processed", AT_ACCEPTED, "accepted" },
    { 101, "Sent", AT_ACCEPTED, "accepted" },
    { 102, "Queued", AT_ACCEPTED, "accepted" },
    { 401, "RiskHold", AT_HOLD_ACCOUNT, "risk_hold" },
    { 402, "InvalidSenderId", AT_HOLD_ACCOUNT, "invalid_sender" },
    { 403, "InvalidPhoneNumber", AT_FINAL, "invalid_number" },
    { 404, "UnsupportedNumberType", AT_FINAL, "unsupported_number" },
    { 405, "InsufficientBalance", AT_HOLD_ACCOUNT, "insufficient_balance" },
    { 406, "UserInBlacklist", AT_SUPPRESS, "opted_out" },
    { 407, "CouldNotRoute", AT_FINAL, "no_route" },
    { 409, "DoNotDisturbRejection", AT_HOLD_WINDOW, "do_not_disturb" },
    { 500, "InternalServerError", AT_RETRY, "provider_error" },
    { 501, "GatewayError", AT_RETRY, "gateway_error" },
    { 502, "RejectedByGateway", AT_RETRY, "rejected_by_gateway" },
};
const size_t at_codes_count = sizeof(at_codes) / sizeof(at_codes[0]);

const char *at_class_name(enum at_class class)
{
    switch (class) {
    case AT_DOUBT:
        return "doubt";
    case AT_ACCEPTED:
        return "accepted";
    case AT_RETRY:
        return "retry";
    case AT_FINAL:
        return "final";
    case AT_SUPPRESS:
        return "suppress";
    case AT_HOLD_WINDOW:
        return "hold_window";
    case AT_HOLD_ACCOUNT:
        return "hold_account";
    }
    panic("class %d", (int)class);
}

enum report_state at_report_state(const char *word)
{
    static const struct {
        const char *word;
        enum report_state state;
    } table[] = {
        { "Success", REPORT_DELIVERED },       { "Sent", REPORT_PROGRESS },
        { "Submitted", REPORT_PROGRESS },      { "Buffered", REPORT_PROGRESS },
        { "Failed", REPORT_FAILED },           { "Rejected", REPORT_FAILED },
        { "AbsentSubscriber", REPORT_ABSENT }, { "Expired", REPORT_EXPIRED },
    };

    for (size_t i = 0; word != NULL && i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcasecmp(table[i].word, word) == 0) {
            return table[i].state;
        }
    }
    return REPORT_UNKNOWN;
}

bool at_reason_is_opt_out(const char *reason)
{
    /* Reports spell it UserInBlackList, send replies UserInBlacklist. */
    return reason != NULL && strcasecmp(reason, "UserInBlackList") == 0;
}

const char *at_network_name(const char *code)
{
    static const struct {
        const char *code, *name;
    } table[] = {
        { "63902", "Safaricom Kenya" },     { "63903", "Airtel Kenya" },
        { "63907", "Telkom Kenya" },        { "63999", "Equitel Kenya" },
        { "62001", "MTN Ghana" },           { "62002", "Vodafone Ghana" },
        { "62006", "AirtelTigo Ghana" },    { "62120", "Airtel Nigeria" },
        { "62130", "MTN Nigeria" },         { "62150", "Glo Nigeria" },
        { "62160", "9mobile Nigeria" },     { "63510", "MTN Rwanda" },
        { "63513", "Tigo Rwanda" },         { "63514", "Airtel Rwanda" },
        { "63601", "Ethio Telecom" },       { "64002", "Tigo Tanzania" },
        { "64003", "Zantel Tanzania" },     { "64004", "Vodacom Tanzania" },
        { "64005", "Airtel Tanzania" },     { "64007", "TTCL Tanzania" },
        { "64009", "Halotel Tanzania" },    { "64101", "Airtel Uganda" },
        { "64110", "MTN Uganda" },          { "64111", "UTL Uganda" },
        { "64114", "Africell Uganda" },     { "64501", "Airtel Zambia" },
        { "64502", "MTN Zambia" },          { "65001", "TNM Malawi" },
        { "65010", "Airtel Malawi" },       { "65501", "Vodacom South Africa" },
        { "65502", "Telkom South Africa" }, { "65507", "Cell C South Africa" },
        { "65510", "MTN South Africa" },    { "99999", "Athena (sandbox)" },
    };

    for (size_t i = 0; code != NULL && i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(table[i].code, code) == 0) {
            return table[i].name;
        }
    }
    return NULL;
}
