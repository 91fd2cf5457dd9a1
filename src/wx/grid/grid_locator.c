/* wx/grid/grid_locator.c - a projection kept open for many threads: several of it, each used by one
 * at a time. */
#include <pthread.h>
#include <stdatomic.h>

#include "wx/grid/grid.h"
#include "wx/grid/grid_project.h"

enum { SEATS = 8 };

typedef struct seat {
    pthread_mutex_t mutex;
    sq_projection projection;
} seat;

struct sq_locator {
    seat seats[SEATS];
    size_t count;     /* of seats that are ready */
    atomic_uint next; /* seat to try first */
};

squall_status sq_locator_create(const squall_grid *grid, sq_locator **out, squall_error *err)
{
    sq_locator *locator = sq_alloc(1, sizeof *locator);
    if (locator == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "grid", "no memory");
    }
    atomic_init(&locator->next, 0);
    for (; locator->count < SEATS; locator->count++) {
        seat *s = &locator->seats[locator->count];
        const squall_status status = sq_projection_open(grid, &s->projection, err);
        if (status != SQUALL_OK) {
            sq_locator_destroy(&locator);
            return status;
        }
        pthread_mutex_init(&s->mutex, NULL);
    }
    *out = locator;
    return SQUALL_OK;
}

void sq_locator_destroy(sq_locator **locator)
{
    if (locator == NULL || *locator == NULL) {
        return;
    }
    for (size_t i = 0; i < (*locator)->count; i++) {
        pthread_mutex_destroy(&(*locator)->seats[i].mutex);
        sq_projection_close(&(*locator)->seats[i].projection);
    }
    sq_free(*locator);
    *locator = NULL;
}

/* A seat that is free, or after a round without one the next whoever sits there. */
static seat *take_seat(sq_locator *locator)
{
    const unsigned first = atomic_fetch_add_explicit(&locator->next, 1, memory_order_relaxed);
    for (unsigned i = 0; i < SEATS; i++) {
        seat *s = &locator->seats[(first + i) % SEATS];
        if (pthread_mutex_trylock(&s->mutex) == 0) {
            return s;
        }
    }
    seat *s = &locator->seats[first % SEATS];
    pthread_mutex_lock(&s->mutex);
    return s;
}

void sq_locator_from_lonlat(sq_locator *locator, const double *lon, const double *lat, size_t count,
                            double *column, double *row)
{
    seat *s = take_seat(locator);
    sq_projection_from_lonlat(&s->projection, lon, lat, count, column, row);
    pthread_mutex_unlock(&s->mutex);
}

void sq_locator_to_lonlat(sq_locator *locator, const double *column, const double *row,
                          size_t count, double *lon, double *lat)
{
    seat *s = take_seat(locator);
    sq_projection_to_lonlat(&s->projection, column, row, count, lon, lat);
    pthread_mutex_unlock(&s->mutex);
}
