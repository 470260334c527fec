/* def - a descriptor that contradicts itself is a bug, and ends the program before it starts */
#include "base/panic.h"
#include "stage/core.h"

static void check_together(const struct stage_def *def)
{
    const long prefetch = def->prefetch > 0 ? def->prefetch : PREFETCH_USUAL;

    if (def->together < 2 || def->together > TOGETHER_MAX) {
        panic("stage %s takes %zu messages together: 2 to %d are possible", def->name,
              def->together, TOGETHER_MAX);
    }
    if (def->together > (size_t)prefetch) {
        panic("stage %s takes %zu messages together and fetches %ld", def->name, def->together,
              prefetch);
    }
    if (def->together_ms < 0 || def->together_ms > def->deadline_ms) {
        panic("stage %s lets a message wait %ld ms for others: its deadline is %ld ms", def->name,
              def->together_ms, def->deadline_ms);
    }
}

void def_check(const struct stage_def *def)
{
    if ((def->handle == NULL) == (def->handle_many == NULL)) {
        panic("stage %s: one of handle and handle_many is required", def->name);
    }
    if (def->handle_many != NULL) {
        check_together(def);
    } else if (def->together != 0 || def->together_ms != 0) {
        panic("stage %s takes messages together and has no handle_many", def->name);
    }
}
