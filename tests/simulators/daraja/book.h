/*
 * book - every push that was accepted, every payment that was made, every reversal asked for
 *
 *     index = book_add_push(&book, &(struct push){ .phone = 254700000001, ... }, wall_ms);
 *     book_checkout_id(&book, index, id);                  // "ws_CO_..."
 *     book_find_checkout(&book, id) == index
 *     paid = book_add_payment(&book, &(struct payment){ .amount = 50, ... }, wall_ms);
 *
 * An index stays valid until book_clear(); ids and receipts are never given out twice, not even by
 * another process.
 */
#ifndef SIM_BOOK_H
#define SIM_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "index.h"

#define BOOK_NONE INDEX_NONE
#define BOOK_ID_BYTES 48
#define BOOK_RECEIPT_BYTES 11
#define BOOK_REFERENCE_BYTES 21

struct push {
    int64_t phone;
    int64_t amount; /* whole shillings, as asked */
    int64_t accepted_ms, ended_ms;
    const char *callback_url; /* copied */
    uint32_t previous;        /* push to the same phone before this one */
    uint32_t payment;         /* BOOK_NONE until it is paid */
    uint32_t style;           /* bits: how the callback is written */
    uint8_t fate;             /* enum fault: what the payer does */
    uint8_t refusal;          /* enum result that ends it whatever the payer does; 0: none */
    uint8_t result;           /* enum result, once ended */
    bool ended;
    bool told; /* a callback of it was answered 2xx */
    char reference[BOOK_REFERENCE_BYTES];
};

struct payment {
    int64_t phone;
    int64_t amount; /* whole shillings, as paid */
    int64_t paid_ms;
    int64_t balance;   /* of the shortcode, after it */
    uint32_t previous; /* payment of the same phone before this one */
    uint32_t push;     /* BOOK_NONE: paid by hand */
    bool reversed;
    char reference[BOOK_REFERENCE_BYTES];
    char receipt[BOOK_RECEIPT_BYTES];
};

struct reversal {
    int64_t amount;
    int64_t at_ms;
    uint32_t payment;                     /* BOOK_NONE: of an unknown receipt */
    uint8_t result;                       /* enum result */
    const char *result_url, *timeout_url; /* copied */
    char own_receipt[BOOK_RECEIPT_BYTES];
};

struct book {
    struct push *pushes;
    struct payment *payments;
    struct reversal *reversals;
    uint32_t capacity;
    uint32_t push_count, payment_count, reversal_count;
    uint32_t boot;    /* makes ids unlike those of any other run */
    uint32_t cleared; /* pushes that earlier clears dropped */
    uint64_t receipts_given;
    int64_t balance;
    struct arena *texts;
    struct index checkouts, receipts, push_phones, payment_phones, urls, likes;
    uint64_t repeated_urls; /* pushes whose callback URL was pushed before */
    uint64_t repeated;      /* pushes with phone, amount and reference of an earlier one */
};

void book_init(struct book *book, uint32_t capacity);
void book_fini(struct book *book);
void book_clear(struct book *book);
bool book_has_room(const struct book *book);

/* Fills previous and payment itself and copies the URL. Call book_has_room() first. */
uint32_t book_add_push(struct book *book, const struct push *push);

/* Fills previous, balance and receipt itself. */
uint32_t book_add_payment(struct book *book, const struct payment *payment);

/* Copies the URLs; own_receipt is filled. */
uint32_t book_add_reversal(struct book *book, const struct reversal *reversal);

void book_checkout_id(const struct book *book, uint32_t push, char out[BOOK_ID_BYTES]);
void book_merchant_id(const struct book *book, uint32_t push, char out[BOOK_ID_BYTES]);

/* BOOK_NONE when there is none. */
uint32_t book_find_checkout(const struct book *book, const char *id);
uint32_t book_find_receipt(const struct book *book, const char *receipt);
uint32_t book_last_push(const struct book *book, int64_t phone);
uint32_t book_last_payment(const struct book *book, int64_t phone);

#endif
