/*
 * voice_hook - the provider's posts about calls: what the callee hears, and what to keep
 *
 * A post of a call that lives is answered with XML from memory, within 50 ms of its last byte. Only
 * two things may take time: the broker's confirm of keys that were pressed, and one question to the
 * database when memory does not know the call. Whatever is not there by then is done without. An
 * end is answered once the broker has it, as other callbacks are. The visits' side is declared in
 * server.h.
 */
#ifndef INGRESS_VOICE_HOOK_H
#define INGRESS_VOICE_HOOK_H

#define VOICE_KEEP_MS 30
#define VOICE_ASK_MS 40
#define VOICE_HOOKS_MAX 2048 /* posts under way, and keys that the broker has not confirmed */

struct app;
struct voice_hooks;

/* Keeps app, which has its settings, metrics and publisher. */
struct voice_hooks *voice_hooks_create(struct app *app);

/* Ends its threads; before that no visit may be suspended any more. Accepts NULL, as the next. */
void voice_hooks_stop(struct voice_hooks *hooks);

/* After the publisher has settled everything. */
void voice_hooks_destroy(struct voice_hooks *hooks);

#endif
