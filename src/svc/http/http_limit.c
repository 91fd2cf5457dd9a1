/* svc/http/http_limit.c - how often a caller may ask: one bucket of tokens each. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "svc/http/http.h"

/* Callers are kept in sets of a few buckets. Where a set is full the bucket that was idle longest
 * makes room: that one is full, or soon will be, so nothing is forgotten that matters. */
enum { SETS = 1024, WAYS = 4 };

typedef struct bucket {
    char who[64];
    double tokens, since_s;
} bucket;

struct sq_http_limiter {
    pthread_mutex_t mutex;
    bucket buckets[SETS][WAYS];
};

sq_http_limiter *sq_http_limiter_create(void)
{
    sq_http_limiter *limiter = sq_alloc(1, sizeof *limiter);
    if (limiter != NULL) {
        pthread_mutex_init(&limiter->mutex, NULL);
    }
    return limiter;
}

void sq_http_limiter_destroy(sq_http_limiter **limiter)
{
    if (limiter != NULL && *limiter != NULL) {
        pthread_mutex_destroy(&(*limiter)->mutex);
        sq_free(*limiter);
        *limiter = NULL;
    }
}

/* FNV-1a. */
static unsigned hash(const char *text)
{
    unsigned value = 2166136261u;
    for (; *text != '\0'; text++) {
        value = (value ^ (unsigned char)*text) * 16777619u;
    }
    return value;
}

static bucket *find(sq_http_limiter *limiter, const char *who, double burst, double now_s)
{
    bucket *set = limiter->buckets[hash(who) % SETS];
    bucket *oldest = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (strncmp(set[i].who, who, sizeof set[i].who - 1) == 0) {
            return &set[i];
        }
        if (set[i].who[0] == '\0' || set[i].since_s < oldest->since_s) {
            oldest = &set[i];
            if (set[i].who[0] == '\0') {
                break;
            }
        }
    }
    snprintf(oldest->who, sizeof oldest->who, "%s", who);
    oldest->tokens = burst;
    oldest->since_s = now_s;
    return oldest;
}

bool sq_http_limiter_take(sq_http_limiter *limiter, const char *who, double per_s, double burst,
                          double now_s, int *wait_s)
{
    *wait_s = 0;
    if (per_s <= 0.0) {
        return true;
    }
    burst = fmax(burst, 1.0);
    pthread_mutex_lock(&limiter->mutex);
    bucket *mine = find(limiter, who, burst, now_s);
    mine->tokens = fmin(burst, mine->tokens + fmax(0.0, now_s - mine->since_s) * per_s);
    mine->since_s = now_s;
    const bool granted = mine->tokens >= 1.0;
    if (granted) {
        mine->tokens -= 1.0;
    } else {
        *wait_s = (int)ceil(fmin((1.0 - mine->tokens) / per_s, 3600.0));
    }
    pthread_mutex_unlock(&limiter->mutex);
    return granted;
}
