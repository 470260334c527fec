#include "slip.h"

#include <string.h>

#include "base/clock.h"

const char slip_type[] = "text/html; charset=utf-8";

bool slip_wanted(const struct request *req)
{
    const char *accept = req->accept;
    const char *html = accept != NULL ? strstr(accept, "text/html") : NULL;
    const char *json = accept != NULL ? strstr(accept, "application/json") : NULL;

    return html != NULL && (json == NULL || html < json);
}

static void put_escaped(struct str *out, const char *text)
{
    for (; *text != '\0'; text++) {
        str_put_markup(out, *text);
    }
}

void slip_row(struct str *out, const char *name, const char *text)
{
    str_printf(out, "<tr><th scope=\"row\">%s</th><td>", name);
    put_escaped(out, *text != '\0' ? text : "–");
    str_puts(out, "</td></tr>\n");
}

void slip_time_row(struct str *out, const char *name, int64_t ms)
{
    char text[CLOCK_RFC3339_BYTES] = "";

    if (ms != 0) {
        clock_format(ms, text);
    }
    slip_row(out, name, text);
}

static const char page_head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n<title>Receipt</title>\n<style>\n"
    "body { font: 16px/1.5 sans-serif; max-width: 34em; margin: 2em auto; padding: 0 1em }\n"
    "table { border-collapse: collapse; width: 100% }\n"
    "th, td { text-align: left; padding: .4em .6em; border-bottom: 1px solid #bbb }\n"
    "th { font-weight: normal; color: #555; width: 11em }\n"
    "@media print { body { margin: 0 } }\n</style>\n</head>\n<body>\n<h1>Receipt</h1>\n<table>\n";

void slip_begin(struct str *out)
{
    str_puts(out, page_head);
}

void slip_end(struct str *out)
{
    str_puts(out, "</table>\n</body>\n</html>\n");
}
