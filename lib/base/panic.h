/*
 * panic - stop at once when the program itself is wrong
 *
 * For what cannot happen, never for bad input. Prints file, line and message to stderr, aborts.
 */
#ifndef BASE_PANIC_H
#define BASE_PANIC_H

void panic_at(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4), noreturn, cold));

#define panic(...) panic_at(__FILE__, __LINE__, __VA_ARGS__)

#endif
