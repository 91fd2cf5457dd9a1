/* edge/lora/lora_outbox.c - which message is news, which is sent next, which is kept. */
#include <stdlib.h>
#include <string.h>

#include "edge/lora/lora.h"

void sq_lora_outbox_init(sq_lora_outbox *outbox)
{
    memset(outbox, 0, sizeof *outbox);
    outbox->rules = (sq_lora_rules){.delta = 3,
                                    .silence_s = 3600,
                                    .least_s = 300,
                                    .retry_s = 120,
                                    .retries = 3,
                                    .forget_s = (int64_t)14 * 86400};
}

/* ------------------------------------------------------------------ what is news */

/* The largest step between two forecasts, of a rate's code or 5 minutes of an onset. */
static int32_t change(const sq_lora_message *a, const sq_lora_message *b)
{
    int32_t most = 0;
    for (uint32_t s = 0; s < a->sectors; s++) {
        const sq_lora_sector *x = &a->sector[s], *y = &b->sector[s];
        for (uint32_t l = 0; l < a->leads; l++) {
            const int32_t step = abs((int32_t)sq_lora_rate_code(x->rate_tenths[l]) -
                                     (int32_t)sq_lora_rate_code(y->rate_tenths[l]));
            most = step > most ? step : most;
        }
        const int32_t minutes =
            abs((x->onset_min < 0 ? 155 : x->onset_min) - (y->onset_min < 0 ? 155 : y->onset_min));
        most = minutes / 5 > most ? minutes / 5 : most;
    }
    return most;
}

static bool is_news(const sq_lora_outbox *outbox, const sq_lora_message *message, int64_t now_s)
{
    const sq_lora_message *last = &outbox->last;
    const int64_t since_s = now_s - outbox->last_queued_s;
    if (message->kind == SQ_LORA_ANSWER || !outbox->has_last ||
        since_s >= outbox->rules.silence_s ||
        (message->kind == SQ_LORA_ALARM && last->kind != SQ_LORA_ALARM)) {
        return true;
    }
    if (message->kind != SQ_LORA_ALARM && since_s < outbox->rules.least_s) {
        return false;
    }
    return message->kind != last->kind || message->status != last->status ||
           message->sectors != last->sectors || message->leads != last->leads ||
           message->threshold_tenths != last->threshold_tenths ||
           change(message, last) >= outbox->rules.delta;
}

/* ------------------------------------------------------------------ the queue */

static void take_out(sq_lora_outbox *outbox, uint32_t index)
{
    memmove(&outbox->entries[index], &outbox->entries[index + 1],
            (outbox->count - index - 1) * sizeof outbox->entries[0]);
    outbox->count--;
}

/* Entries are in the order of their queueing. */
static void make_room(sq_lora_outbox *outbox)
{
    uint32_t victim = 0;
    if (outbox->count < SQ_LORA_QUEUE) {
        return;
    }
    while (victim < outbox->count && outbox->entries[victim].message.kind == SQ_LORA_ALARM) {
        victim++;
    }
    take_out(outbox, victim < outbox->count ? victim : 0);
    outbox->dropped++;
}

bool sq_lora_outbox_offer(sq_lora_outbox *outbox, const sq_lora_message *message, int64_t now_s)
{
    if (!is_news(outbox, message, now_s)) {
        return false;
    }
    make_room(outbox);
    sq_lora_entry *entry = &outbox->entries[outbox->count++];
    *entry = (sq_lora_entry){.message = *message, .queued_s = now_s, .sent_s = -1};
    entry->message.sequence = outbox->next_sequence++;
    if (message->kind != SQ_LORA_ANSWER) {
        outbox->last = *message;
        outbox->has_last = true;
        outbox->last_queued_s = now_s;
    }
    return true;
}

/* 0 for what is not due; alarms before what is new, before what is sent again, before the store. */
static int rank_of(const sq_lora_outbox *outbox, const sq_lora_entry *entry, int64_t now_s)
{
    const sq_lora_rules *rules = &outbox->rules;
    if (entry->sends == 0) {
        return entry->message.kind == SQ_LORA_ALARM ? 5 : 4;
    }
    if (entry->sends <= rules->retries) {
        const bool due = now_s - entry->sent_s >= rules->retry_s * entry->sends;
        return !due ? 0 : entry->message.kind == SQ_LORA_ALARM ? 3 : 2;
    }
    return now_s - entry->sent_s >= rules->silence_s ? 1 : 0;
}

sq_lora_entry *sq_lora_outbox_next(sq_lora_outbox *outbox, int64_t now_s)
{
    sq_lora_entry *best = NULL;
    int best_rank = 0;
    for (uint32_t i = 0; i < outbox->count;) {
        if (now_s - outbox->entries[i].queued_s > outbox->rules.forget_s) {
            outbox->dropped++;
            take_out(outbox, i);
            continue;
        }
        const int rank = rank_of(outbox, &outbox->entries[i], now_s);
        /* The newest of a rank, but of the store the oldest. */
        if (rank > best_rank || (rank == best_rank && rank > 1)) {
            best = &outbox->entries[i];
            best_rank = rank;
        }
        i++;
    }
    return best;
}

void sq_lora_outbox_sent(sq_lora_outbox *outbox, sq_lora_entry *entry, int64_t now_s)
{
    entry->sends++;
    entry->sent_s = now_s;
    outbox->last_sent_s = now_s;
    if (entry->sends > outbox->rules.retries &&
        (entry->message.kind == SQ_LORA_REPORT || entry->message.kind == SQ_LORA_ALARM)) {
        entry->message.kind = SQ_LORA_STORED; /* it is history by now */
    }
}

uint32_t sq_lora_outbox_acknowledge(sq_lora_outbox *outbox, uint16_t sequence, uint16_t mask)
{
    uint32_t taken = 0;
    for (uint32_t i = 0; i < outbox->count;) {
        const uint16_t back = (uint16_t)(sequence - outbox->entries[i].message.sequence);
        if (outbox->entries[i].sends > 0 && (back == 0 || (back <= 16 && mask >> (back - 1) & 1))) {
            take_out(outbox, i);
            taken++;
        } else {
            i++;
        }
    }
    return taken;
}
