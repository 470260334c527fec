/*
 * book - every push that was accepted, every payment that was made, every reversal asked for
 */
#include "book.h"

#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "base/panic.h"
#include "eat.h"
#include "engine/faults.h"
#include "engine/pages.h"

#define TEXTS_BYTES ((size_t)1 << 30)
#define SUBSCRIBER_DIGITS 1000000000
#define SERIAL_DIGITS 1000000
#define OPENING_BALANCE 100000

/* Receipts: three characters for the day and a number in base 36. */
#define RECEIPT_YEAR_OF_A 2006
#define RECEIPT_NUMBERS 78364164096 /* 36^7 */
#define RECEIPT_STEP 1299709        /* prime to it, so that neighbours look unlike */

void book_init(struct book *book, uint32_t capacity)
{
    *book = (struct book){
        .pushes = pages_map(capacity * sizeof(struct push)),
        .payments = pages_map(capacity * sizeof(struct payment)),
        .reversals = pages_map(capacity * sizeof(struct reversal)),
        .capacity = capacity,
        .balance = OPENING_BALANCE,
        .texts = arena_create(TEXTS_BYTES),
    };
    index_init(&book->checkouts);
    index_init(&book->receipts);
    index_init(&book->push_phones);
    index_init(&book->payment_phones);
    index_init(&book->urls);
    index_init(&book->likes);
    id_random(&book->boot, sizeof(book->boot));
}

void book_fini(struct book *book)
{
    index_fini(&book->checkouts);
    index_fini(&book->receipts);
    index_fini(&book->push_phones);
    index_fini(&book->payment_phones);
    index_fini(&book->urls);
    index_fini(&book->likes);
    arena_destroy(book->texts);
    pages_unmap(book->pushes, book->capacity * sizeof(struct push));
    pages_unmap(book->payments, book->capacity * sizeof(struct payment));
    pages_unmap(book->reversals, book->capacity * sizeof(struct reversal));
}

void book_clear(struct book *book)
{
    pages_clear(book->pushes, book->push_count * sizeof(struct push));
    pages_clear(book->payments, book->payment_count * sizeof(struct payment));
    pages_clear(book->reversals, book->reversal_count * sizeof(struct reversal));
    index_clear(&book->checkouts);
    index_clear(&book->receipts);
    index_clear(&book->push_phones);
    index_clear(&book->payment_phones);
    index_clear(&book->urls);
    index_clear(&book->likes);
    arena_reset(book->texts);
    book->cleared += book->push_count;
    book->push_count = book->payment_count = book->reversal_count = 0;
    book->balance = OPENING_BALANCE;
    book->repeated_urls = book->repeated = 0;
}

bool book_has_room(const struct book *book)
{
    return book->push_count < book->capacity && book->payment_count < book->capacity &&
           book->reversal_count < book->capacity;
}

static uint64_t phone_key(int64_t phone)
{
    return (uint64_t)phone;
}

static uint64_t likeness(const struct push *push)
{
    return fault_mix((uint64_t)push->phone ^ fault_mix((uint64_t)push->amount) ^
                     index_hash(push->reference)) |
           1;
}

static void count_repeats(struct book *book, const struct push *push, uint32_t index)
{
    uint64_t url = index_hash(push->callback_url);
    uint64_t like = likeness(push);

    book->repeated_urls += index_get(&book->urls, url) != INDEX_NONE;
    book->repeated += index_get(&book->likes, like) != INDEX_NONE;
    index_put(&book->urls, url, index);
    index_put(&book->likes, like, index);
}

uint32_t book_add_push(struct book *book, const struct push *push)
{
    uint32_t index = book->push_count;
    struct push *added = &book->pushes[index];
    char id[BOOK_ID_BYTES];

    if (index == book->capacity) {
        panic("the book is full");
    }
    *added = *push;
    added->callback_url = arena_strdup(book->texts, push->callback_url);
    added->previous = book_last_push(book, push->phone);
    added->payment = BOOK_NONE;
    book->push_count++;
    book_checkout_id(book, index, id);
    index_put(&book->checkouts, index_hash(id), index);
    index_put(&book->push_phones, phone_key(push->phone), index);
    count_repeats(book, added, index);
    return index;
}

static void make_receipt(struct book *book, int64_t wall_ms, char out[BOOK_RECEIPT_BYTES])
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    uint64_t number =
        (book->boot + ++book->receipts_given * RECEIPT_STEP) % (uint64_t)RECEIPT_NUMBERS;
    char time[EAT_BYTES];
    int year;
    int month;
    int day;

    eat_format(wall_ms, time);
    year = (time[0] - '0') * 1000 + (time[1] - '0') * 100 + (time[2] - '0') * 10 + (time[3] - '0');
    month = (time[4] - '0') * 10 + (time[5] - '0');
    day = (time[6] - '0') * 10 + (time[7] - '0');
    out[0] = (char)('A' + (year - RECEIPT_YEAR_OF_A) % 26);
    out[1] = (char)('A' + month - 1);
    out[2] = digits[day];
    for (int i = BOOK_RECEIPT_BYTES - 2; i > 2; i--) {
        out[i] = digits[number % 36];
        number /= 36;
    }
    out[BOOK_RECEIPT_BYTES - 1] = '\0';
}

uint32_t book_add_payment(struct book *book, const struct payment *payment)
{
    uint32_t index = book->payment_count;
    struct payment *added = &book->payments[index];

    if (index == book->capacity) {
        panic("the book is full");
    }
    book->balance += payment->amount;
    *added = *payment;
    added->previous = book_last_payment(book, payment->phone);
    added->balance = book->balance;
    make_receipt(book, payment->paid_ms, added->receipt);
    book->payment_count++;
    index_put(&book->receipts, index_hash(added->receipt), index);
    index_put(&book->payment_phones, phone_key(payment->phone), index);
    return index;
}

uint32_t book_add_reversal(struct book *book, const struct reversal *reversal)
{
    uint32_t index = book->reversal_count;
    struct reversal *added = &book->reversals[index];

    if (index == book->capacity) {
        panic("the book is full");
    }
    *added = *reversal;
    added->result_url = arena_strdup(book->texts, reversal->result_url);
    added->timeout_url = arena_strdup(book->texts, reversal->timeout_url);
    make_receipt(book, reversal->at_ms, added->own_receipt);
    book->reversal_count++;
    return index;
}

static uint32_t serial_of(const struct book *book, uint32_t push)
{
    return book->boot + book->cleared + push;
}

/* "ws_CO_" and the day first: 20112026134500, then a serial number and the subscriber. */
void book_checkout_id(const struct book *book, uint32_t push, char out[BOOK_ID_BYTES])
{
    const struct push *of = &book->pushes[push];
    char time[EAT_BYTES];

    eat_format(of->accepted_ms, time);
    (void)snprintf(out, BOOK_ID_BYTES, "ws_CO_%.2s%.2s%.4s%s%06u%09lld", time + 6, time + 4, time,
                   time + 8, serial_of(book, push) % SERIAL_DIGITS,
                   (long long)(of->phone % SUBSCRIBER_DIGITS));
}

void book_merchant_id(const struct book *book, uint32_t push, char out[BOOK_ID_BYTES])
{
    (void)snprintf(out, BOOK_ID_BYTES, "%u-%u-1", 10000 + book->boot % 90000,
                   serial_of(book, push));
}

uint32_t book_find_checkout(const struct book *book, const char *id)
{
    uint32_t index = index_get(&book->checkouts, index_hash(id));
    char own[BOOK_ID_BYTES];

    if (index != BOOK_NONE) {
        book_checkout_id(book, index, own);
        index = strcmp(own, id) == 0 ? index : BOOK_NONE;
    }
    return index;
}

uint32_t book_find_receipt(const struct book *book, const char *receipt)
{
    uint32_t index = index_get(&book->receipts, index_hash(receipt));

    return index != BOOK_NONE && strcmp(book->payments[index].receipt, receipt) == 0 ? index
                                                                                     : BOOK_NONE;
}

uint32_t book_last_push(const struct book *book, int64_t phone)
{
    return index_get(&book->push_phones, phone_key(phone));
}

uint32_t book_last_payment(const struct book *book, int64_t phone)
{
    return index_get(&book->payment_phones, phone_key(phone));
}
