#include "money.h"

const char *money_format(struct ctl *ctl, int64_t amount_e4, const char *currency)
{
    int64_t size = amount_e4 < 0 ? -amount_e4 : amount_e4;
    int64_t rest = size % 10000;
    const char *decimals = rest % 100 == 0
                               ? arena_printf(ctl->arena, "%02lld", (long long)(rest / 100))
                               : arena_printf(ctl->arena, "%04lld", (long long)rest);

    return arena_printf(ctl->arena, "%s%s%s%s.%s", currency, *currency ? " " : "",
                        amount_e4 < 0 ? "-" : "", ctl_number(ctl, size / 10000), decimals);
}
