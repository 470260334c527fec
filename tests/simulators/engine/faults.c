/*
 * faults - what goes wrong, how often, decided by the seed
 */
#include "engine/faults.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/panic.h"

#define MILLION 1000000

/* No timer, and no number of copies, is longer than this. */
#define NUMBER_MAX 86400000

void faults_init(struct faults *faults, const struct fault_kinds *kinds, uint64_t seed)
{
    if (kinds->count > FAULTS_MAX || kinds->number_count > FAULT_NUMBERS_MAX) {
        panic("%d kinds of faults and %d numbers", kinds->count, kinds->number_count);
    }
    *faults = (struct faults){ .kinds = kinds, .seed = seed };
    for (int i = 0; i < kinds->count; i++) {
        faults->shares[i].count = -1;
    }
    for (int i = 0; i < kinds->number_count; i++) {
        faults->numbers[i] = kinds->numbers[i].fallback;
    }
}

/* splitmix64's finisher. */
uint64_t fault_mix(uint64_t value)
{
    value += 0x9E3779B97F4A7C15ULL;
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ULL;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBULL;
    return value ^ (value >> 31);
}

static uint64_t draw(struct faults *faults, int stream)
{
    return fault_mix(faults->seed ^ ((uint64_t)stream << 56) ^ ++faults->drawn[stream]);
}

/* Takes one of the share's remaining counts. */
static bool apply(struct faults *faults, int fault)
{
    struct fault_share *share = &faults->shares[fault];

    if (share->count == 0) {
        return false;
    }
    if (share->count > 0) {
        share->count--;
    }
    faults->applied[fault]++;
    return true;
}

bool faults_start(struct faults *faults, const struct fault_kinds *kinds, uint64_t seed,
                  const char *force, const char *json, struct err *err)
{
    faults_init(faults, kinds, seed);
    return faults_force(faults, force, err) && faults_load(faults, json, strlen(json), err);
}

bool fault_hits(struct faults *faults, int fault)
{
    uint32_t ppm = faults->shares[fault].ppm;

    return ppm > 0 && draw(faults, fault) % MILLION < ppm && apply(faults, fault);
}

int fault_forced_within(const struct faults *faults, int64_t phone, int first, int last)
{
    for (int i = 0; i < faults->force_count; i++) {
        const struct fault_force *force = &faults->forces[i];

        if (force->outcome >= first && force->outcome <= last &&
            phone % force->modulus == force->suffix) {
            return force->outcome;
        }
    }
    return faults->kinds->count;
}

int fault_forced(const struct faults *faults, int64_t phone)
{
    return fault_forced_within(faults, phone, 0, faults->kinds->count);
}

int fault_of_number(struct faults *faults, int first, int last, int64_t phone)
{
    uint64_t at =
        fault_mix(faults->seed ^ ((uint64_t)first << 56) ^ fault_mix((uint64_t)phone)) % MILLION;

    for (int fault = first; fault <= last; fault++) {
        uint32_t ppm = faults->shares[fault].ppm;

        if (at < ppm) {
            return apply(faults, fault) ? fault : 0;
        }
        at -= ppm;
    }
    return 0;
}

int64_t fault_between(struct faults *faults, int stream, int64_t min, int64_t max)
{
    return max <= min ? min : min + (int64_t)(draw(faults, stream) % (uint64_t)(max - min + 1));
}

static int find_fault(const struct fault_kinds *kinds, const char *name)
{
    for (int i = 0; i < kinds->count; i++) {
        if (strcmp(kinds->names[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

static int find_number(const struct fault_kinds *kinds, const char *name)
{
    for (int i = 0; i < kinds->number_count; i++) {
        if (strcmp(kinds->numbers[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

/* An outcome by its name, with or without the prefix: "absent", "406" for "refuse_406". */
static bool parse_outcome(const struct fault_kinds *kinds, const char *name, int *out_outcome)
{
    char full[64];
    int fault = find_fault(kinds, name);

    if (fault < 0 && kinds->outcome_prefix != NULL) {
        (void)snprintf(full, sizeof(full), "%s%s", kinds->outcome_prefix, name);
        fault = find_fault(kinds, full);
    }
    if (fault != 0 && (fault < kinds->first_outcome || fault > kinds->last_outcome) &&
        (fault < kinds->first_other || fault > kinds->last_other)) {
        return false;
    }
    *out_outcome = fault;
    return true;
}

/* One "0406:406" of len bytes. */
static bool parse_force(const struct fault_kinds *kinds, const char *text, size_t len,
                        struct fault_force *out_force)
{
    const char *colon = memchr(text, ':', len);
    char name[32];
    size_t name_len;

    if (colon == NULL || colon == text || colon - text > 12) {
        return false;
    }
    name_len = len - (size_t)(colon - text) - 1;
    if (name_len == 0 || name_len >= sizeof(name)) {
        return false;
    }
    memcpy(name, colon + 1, name_len);
    name[name_len] = '\0';
    out_force->modulus = 1;
    out_force->suffix = 0;
    for (const char *at = text; at < colon; at++) {
        if (*at < '0' || *at > '9') {
            return false;
        }
        out_force->suffix = out_force->suffix * 10 + (*at - '0');
        out_force->modulus *= 10;
    }
    return parse_outcome(kinds, name, &out_force->outcome);
}

bool faults_force(struct faults *faults, const char *text, struct err *err)
{
    struct fault_force forces[FAULT_FORCE_MAX];
    int count = 0;

    while (*text != '\0') {
        size_t len = strcspn(text, ",");

        if (count == FAULT_FORCE_MAX || !parse_force(faults->kinds, text, len, &forces[count])) {
            return err_permanent(err, "bad_force", "'%.*s' is not <digits>:<outcome>", (int)len,
                                 text);
        }
        count++;
        text += len;
        text += *text == ',';
    }
    memcpy(faults->forces, forces, sizeof(forces[0]) * (size_t)count);
    faults->force_count = count;
    return true;
}

static bool read_share(const json_t *value, struct fault_share *out_share)
{
    const json_t *share = json_is_object(value) ? json_object_get(value, "share") : value;
    const json_t *count = json_is_object(value) ? json_object_get(value, "count") : NULL;
    double part = share == NULL ? 1.0 : json_number_value(share);

    if ((share != NULL && !json_is_number(share)) || part < 0.0 || part > 1.0 ||
        (share == NULL && count == NULL) || (count != NULL && !json_is_integer(count))) {
        return false;
    }
    out_share->ppm = (uint32_t)(part * MILLION + 0.5);
    out_share->count = count == NULL ? -1 : json_integer_value(count);
    return true;
}

static bool read_member(struct faults *faults, const char *name, const json_t *value,
                        struct err *err)
{
    int fault = find_fault(faults->kinds, name);
    int number = find_number(faults->kinds, name);

    if (strcmp(name, "force") == 0 && json_is_string(value)) {
        return faults_force(faults, json_string_value(value), err);
    }
    if (fault > 0 && read_share(value, &faults->shares[fault])) {
        return true;
    }
    if (number >= 0 && json_is_integer(value) && json_integer_value(value) >= 0 &&
        json_integer_value(value) <= NUMBER_MAX) {
        faults->numbers[number] = json_integer_value(value);
        return true;
    }
    return err_permanent(err, "bad_fault", "'%.60s' is not known or its value is not right", name);
}

bool faults_load(struct faults *faults, const char *json, size_t len, struct err *err)
{
    struct faults changed = *faults;
    json_error_t error;
    json_t *root = json_loadb(json, len, 0, &error);
    const char *name;
    json_t *value;
    bool ok = true;

    if (!json_is_object(root)) {
        json_decref(root);
        return err_permanent(err, "bad_faults", "not a JSON object: %.80s", error.text);
    }
    json_object_foreach(root, name, value)
    {
        ok = ok && read_member(&changed, name, value, err);
    }
    json_decref(root);
    if (ok) {
        *faults = changed;
    }
    return ok;
}

void faults_put_applied(const struct faults *faults, struct str *out)
{
    str_putc(out, '{');
    for (int i = 1; i < faults->kinds->count; i++) {
        str_printf(out, "%s\"%s\":%llu", i == 1 ? "" : ",", faults->kinds->names[i],
                   (unsigned long long)faults->applied[i]);
    }
    str_putc(out, '}');
}

void faults_put_settings(const struct faults *faults, struct str *out)
{
    str_putc(out, '{');
    for (int i = 1; i < faults->kinds->count; i++) {
        const struct fault_share *share = &faults->shares[i];

        str_printf(out, "\"%s\":{\"share\":%u.%06u", faults->kinds->names[i], share->ppm / MILLION,
                   share->ppm % MILLION);
        if (share->count >= 0) {
            str_printf(out, ",\"count\":%lld", (long long)share->count);
        }
        str_puts(out, "},");
    }
    for (int i = 0; i < faults->kinds->number_count; i++) {
        str_printf(out, "\"%s\":%lld,", faults->kinds->numbers[i].name,
                   (long long)faults->numbers[i]);
    }
    str_puts(out, "\"force\":\"");
    for (int i = 0; i < faults->force_count; i++) {
        const struct fault_force *force = &faults->forces[i];
        int width = 0;

        for (int64_t left = force->modulus; left > 1; left /= 10) {
            width++;
        }
        str_printf(out, "%s%0*lld:%s", i == 0 ? "" : ",", width, (long long)force->suffix,
                   faults->kinds->names[force->outcome]);
    }
    str_puts(out, "\"}");
}
