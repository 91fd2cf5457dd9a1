/* svc/http/http_stream.c - Server-Sent Events: one ring of events, any number of listeners. */
#include <pthread.h>
#include <string.h>

#include "svc/http/http_private.h"

enum { RING = 64 };

typedef struct listener {
    sq_http_hub *hub;
    struct MHD_Connection *connection;
    struct listener *next, *previous; /* of the hub */
    uint64_t next_id;                 /* the event to send next */
    uint64_t beat;                    /* signs of life already sent */
    sq_text pending;                  /* owned; what is being sent */
    size_t sent;                      /* of `pending` */
    bool asleep;
} listener;

struct sq_http_hub {
    pthread_mutex_t mutex;
    listener *first;
    size_t count;
    bool closed;
    uint64_t next_id;   /* of the next event; ids begin with 1 */
    uint64_t beat;      /* signs of life published */
    char *events[RING]; /* owned, whole "id:...\n\n" blocks; event i is at i % RING */
};

sq_http_hub *sq_http_hub_create(void)
{
    sq_http_hub *hub = sq_alloc(1, sizeof *hub);
    if (hub != NULL) {
        pthread_mutex_init(&hub->mutex, NULL);
        hub->next_id = 1;
    }
    return hub;
}

void sq_http_hub_destroy(sq_http_hub **hub)
{
    if (hub == NULL || *hub == NULL) {
        return;
    }
    for (size_t i = 0; i < RING; i++) {
        sq_free((*hub)->events[i]);
    }
    pthread_mutex_destroy(&(*hub)->mutex);
    sq_free(*hub);
    *hub = NULL;
}

/* With the lock held. */
static void wake_all(sq_http_hub *hub)
{
    for (listener *l = hub->first; l != NULL; l = l->next) {
        if (l->asleep) {
            l->asleep = false;
            MHD_resume_connection(l->connection);
        }
    }
}

void sq_http_hub_publish(sq_http_hub *hub, const char *event, const char *data)
{
    sq_text block = {0};
    pthread_mutex_lock(&hub->mutex);
    if (event == NULL) {
        hub->beat++;
    } else {
        sq_text_add(&block, "id: %llu\nevent: %s\ndata: %s\n\n", (unsigned long long)hub->next_id,
                    event, data);
        if (block.failed) {
            sq_text_free(&block);
            pthread_mutex_unlock(&hub->mutex);
            return;
        }
        sq_free(hub->events[hub->next_id % RING]);
        hub->events[hub->next_id % RING] = block.data;
        hub->next_id++;
    }
    wake_all(hub);
    pthread_mutex_unlock(&hub->mutex);
}

void sq_http_hub_close(sq_http_hub *hub)
{
    pthread_mutex_lock(&hub->mutex);
    hub->closed = true;
    wake_all(hub);
    pthread_mutex_unlock(&hub->mutex);
}

size_t sq_http_hub_listeners(sq_http_hub *hub)
{
    pthread_mutex_lock(&hub->mutex);
    const size_t count = hub->count;
    pthread_mutex_unlock(&hub->mutex);
    return count;
}

void sq_http_give_stream(sq_http_response *response, sq_http_hub *hub)
{
    sq_http_response_free(response);
    response->status = 200;
    response->type = "text/event-stream";
    response->stream = hub;
    response->max_age_s = -1;
}

/* What is new for a listener goes to `pending`; false when nothing is. With the lock held. */
static bool take_news(listener *l)
{
    sq_http_hub *hub = l->hub;
    l->pending.length = 0;
    l->sent = 0;
    if (hub->next_id - l->next_id > RING) { /* it was asleep for too long: the oldest are gone */
        l->next_id = hub->next_id - RING;
    }
    for (; l->next_id < hub->next_id; l->next_id++) {
        const char *event = hub->events[l->next_id % RING];
        sq_text_add_bytes(&l->pending, event, strlen(event));
    }
    if (l->pending.length == 0 && l->beat != hub->beat) {
        sq_text_add_bytes(&l->pending, ":\n\n", 3);
    }
    l->beat = hub->beat;
    return l->pending.length > 0;
}

static ssize_t read_stream(void *cls, uint64_t position, char *buffer, size_t room)
{
    listener *l = cls;
    ssize_t count = 0;
    (void)position;
    pthread_mutex_lock(&l->hub->mutex);
    if (l->sent < l->pending.length || take_news(l)) {
        const size_t left = l->pending.length - l->sent;
        count = (ssize_t)(left < room ? left : room);
        memcpy(buffer, l->pending.data + l->sent, (size_t)count);
        l->sent += (size_t)count;
    } else if (l->hub->closed || l->pending.failed) {
        count = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        l->asleep = true;
        MHD_suspend_connection(l->connection);
    }
    pthread_mutex_unlock(&l->hub->mutex);
    return count;
}

static void free_listener(void *cls)
{
    listener *l = cls;
    sq_http_hub *hub = l->hub;
    pthread_mutex_lock(&hub->mutex);
    if (l->previous != NULL) {
        l->previous->next = l->next;
    } else {
        hub->first = l->next;
    }
    if (l->next != NULL) {
        l->next->previous = l->previous;
    }
    hub->count--;
    pthread_mutex_unlock(&hub->mutex);
    sq_text_free(&l->pending);
    sq_free(l);
}

struct MHD_Response *sq_http_hub_response(sq_http_hub *hub, struct MHD_Connection *connection,
                                          uint64_t last_id)
{
    listener *l = sq_alloc(1, sizeof *l);
    if (l == NULL) {
        return NULL;
    }
    sq_text_add_bytes(&l->pending, "retry: 5000\n\n", 13);
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, read_stream, l, free_listener);
    if (response == NULL) {
        sq_text_free(&l->pending);
        sq_free(l);
        return NULL;
    }
    l->hub = hub;
    l->connection = connection;
    pthread_mutex_lock(&hub->mutex);
    l->next_id = last_id > 0 && last_id < hub->next_id ? last_id + 1 : hub->next_id;
    l->beat = hub->beat;
    l->next = hub->first;
    if (hub->first != NULL) {
        hub->first->previous = l;
    }
    hub->first = l;
    hub->count++;
    pthread_mutex_unlock(&hub->mutex);
    return response;
}
