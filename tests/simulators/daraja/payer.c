/*
 * payer - the customer with the phone: what becomes of a prompt, and when
 */
#include <string.h>

#include "sim.h"

static int64_t act_in_ms(struct sim *sim, const struct push *push)
{
    const int64_t *numbers = sim->faults.numbers;

    if (push->refusal == RESULT_PAID) {
        switch ((int)push->fate) {
        case FAULT_NO_ANSWER:
        case FAULT_EXPIRES:
        case FAULT_PAYS_AFTER_FAILURE:
            return numbers[NUMBER_PROMPT_MS];
        case FAULT_PAYS_LATE:
            return numbers[NUMBER_LATE_MS];
        default:
            break;
        }
    }
    return fault_between(&sim->faults, FAULT_CANCELS, numbers[NUMBER_PAY_MIN_MS],
                         numbers[NUMBER_PAY_MAX_MS]);
}

static int64_t other_amount(const struct sim *sim, int64_t amount)
{
    int64_t by = sim->faults.numbers[NUMBER_OTHER_BY];

    return amount > by ? amount - by : amount + by;
}

static void pay(struct sim *sim, uint32_t index)
{
    struct push *push = &sim->book.pushes[index];
    struct payment payment = {
        .phone = push->phone,
        .amount = push->fate == FAULT_PAYS_OTHER ? other_amount(sim, push->amount) : push->amount,
        .paid_ms = loop_wall_ms(&sim->loop),
        .push = index,
    };

    memcpy(payment.reference, push->reference, sizeof(payment.reference));
    push->payment = book_add_payment(&sim->book, &payment);
    sim->stats.amount_paid += payment.amount;
    if (fault_hits(&sim->faults, FAULT_C2B_OF_PUSH)) {
        (void)c2b_confirm(sim, push->payment); /* without URLs there is nobody to tell */
    }
}

static void end(struct sim *sim, uint32_t index, enum result result, bool early)
{
    struct push *push = &sim->book.pushes[index];

    if (result == RESULT_PAID) {
        pay(sim, index);
    }
    push->ended = true;
    push->ended_ms = loop_wall_ms(&sim->loop);
    push->result = (uint8_t)result;
    sim->stats.results[result]++;
    callbacks_plan_push(sim, index, result, early);
}

/* What the prompt ends in the first time. */
static enum result first_result(const struct push *push)
{
    if (push->refusal != RESULT_PAID) {
        return (enum result)push->refusal;
    }
    return push->fate == FAULT_PAYS_AFTER_FAILURE ? RESULT_NO_ANSWER
                                                  : result_of((enum fault)push->fate);
}

void payer_prompt(struct sim *sim, uint32_t index, bool early)
{
    const struct push *push = &sim->book.pushes[index];
    int64_t now_ms = sim->loop.now_ms;

    if (early) {
        end(sim, index, first_result(push), true);
    } else {
        wheel_add(&sim->wheel, now_ms + act_in_ms(sim, push),
                  (struct timer){ .kind = TIMER_PAYER, .subject = index });
    }
    if (push->refusal == RESULT_PAID && push->fate == FAULT_PAYS_AFTER_FAILURE) {
        wheel_add(&sim->wheel, now_ms + sim->faults.numbers[NUMBER_LATE_MS],
                  (struct timer){ .kind = TIMER_PAYER, .subject = index, .word = 1 });
    }
}

void payer_act(struct sim *sim, const struct timer *timer)
{
    const struct push *push = &sim->book.pushes[timer->subject];

    end(sim, timer->subject, timer->word == 1 ? RESULT_PAID : first_result(push), false);
}
