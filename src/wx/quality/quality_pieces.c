/* wx/quality/quality_pieces.c - what is no rain by its shape: speckle and spokes; and what the
 * source itself calls bad. */
#include <math.h>
#include <string.h>

#include "wx/grid/grid.h"
#include "wx/quality/quality.h"

/* One connected piece of marked cells. */
typedef struct piece {
    size_t count;            /* of cells, which are the first of the queue */
    double x, y, xx, xy, yy; /* sums over them */
    double across, length;   /* deviation across, extent along, cells */
} piece;

typedef struct search {
    const uint8_t *marked; /* [cells] */
    uint8_t *taken;        /* owned, [cells] */
    uint32_t *queue;       /* owned, [cells] */
    size_t width, height;
} search;

static squall_status check(const squall_field *field, squall_error *err)
{
    return field->quantity == SQUALL_RAIN_RATE
               ? SQUALL_OK
               : sq_fail(err, SQUALL_E_SHAPE, field->source, "is %s; a rain rate is wanted",
                         field->quantity_name);
}

static void dry_cell(squall_field *field, size_t at)
{
    field->values[at] = 0.0f;
    field->mask[at] = SQUALL_CELL_DRY;
}

/* Queue all cells connected with `first`. */
static void collect(search *s, size_t first, piece *out)
{
    size_t next = 0;
    *out = (piece){0};
    s->queue[out->count++] = (uint32_t)first;
    s->taken[first] = 1;
    while (next < out->count) {
        const size_t at = s->queue[next++], y = at / s->width, x = at - y * s->width;
        const double fx = (double)x, fy = (double)y;
        out->x += fx;
        out->y += fy;
        out->xx += fx * fx;
        out->xy += fx * fy;
        out->yy += fy * fy;
        for (size_t j = y > 0 ? y - 1 : 0; j <= y + 1 && j < s->height; j++) {
            for (size_t i = x > 0 ? x - 1 : 0; i <= x + 1 && i < s->width; i++) {
                const size_t neighbour = j * s->width + i;
                if (s->marked[neighbour] != 0 && s->taken[neighbour] == 0) {
                    s->taken[neighbour] = 1;
                    s->queue[out->count++] = (uint32_t)neighbour;
                }
            }
        }
    }
}

/* Extent along the piece's main axis and deviation across it. */
static void measure(const search *s, piece *p)
{
    const double n = (double)p->count, mx = p->x / n, my = p->y / n;
    const double xx = p->xx / n - mx * mx, xy = p->xy / n - mx * my, yy = p->yy / n - my * my;
    const double half = 0.5 * (xx - yy), root = sqrt(half * half + xy * xy);
    const double least = fmax(0.5 * (xx + yy) - root, 0.0);
    const double turn = 0.5 * atan2(2.0 * xy, xx - yy), c = cos(turn), d = sin(turn);
    double low = INFINITY, high = -INFINITY;
    const size_t width = s->width > 0 ? s->width : 1;
    for (size_t i = 0; i < p->count; i++) {
        const size_t y = s->queue[i] / width, x = s->queue[i] - y * width;
        const double along = c * ((double)x - mx) + d * ((double)y - my);
        low = fmin(low, along);
        high = fmax(high, along);
    }
    p->across = sqrt(least);
    p->length = high - low + 1.0;
}

static squall_status open_search(const squall_field *field, const uint8_t *marked, search *out,
                                 squall_error *err)
{
    const size_t cells = field->grid.width * field->grid.height;
    *out = (search){.marked = marked, .width = field->grid.width, .height = field->grid.height};
    out->taken = sq_alloc(cells, 1);
    out->queue = sq_alloc_raw(cells, sizeof *out->queue);
    if (out->taken == NULL || out->queue == NULL) {
        sq_free(out->taken);
        sq_free(out->queue);
        return sq_fail(err, SQUALL_E_MEMORY, "quality", "no memory for %zu cells", cells);
    }
    return SQUALL_OK;
}

/* Dry every piece of `marked` that is smaller than `least_cells`, or, with that 0, that is a line
 * of `least_length`; how many cells. */
static squall_status dry_pieces(squall_field *field, const uint8_t *marked, size_t least_cells,
                                double least_length, size_t *removed, squall_error *err)
{
    search s;
    size_t dried = 0;
    SQ_TRY(open_search(field, marked, &s, err));
    for (size_t i = 0; i < s.width * s.height; i++) {
        piece p;
        if (marked[i] == 0 || s.taken[i] != 0) {
            continue;
        }
        collect(&s, i, &p);
        bool bad = p.count < least_cells;
        if (least_cells == 0) {
            measure(&s, &p);
            bad = p.length >= least_length && p.across < 1.0;
        }
        for (size_t k = 0; bad && k < p.count; k++) {
            dry_cell(field, s.queue[k]);
        }
        dried += bad ? p.count : 0;
    }
    if (removed != NULL) {
        *removed = dried;
    }
    sq_free(s.taken);
    sq_free(s.queue);
    return SQUALL_OK;
}

/* Cells with rain; given. */
static uint8_t *mark_rain(const squall_field *field)
{
    const size_t cells = field->grid.width * field->grid.height;
    uint8_t *marked = sq_alloc(cells, 1);
    for (size_t i = 0; marked != NULL && i < cells; i++) {
        marked[i] = field->mask[i] == SQUALL_CELL_VALUE && field->values[i] > 0.0f;
    }
    return marked;
}

squall_status squall_quality_speckle(squall_field *field, size_t least_cells, size_t *removed,
                                     squall_error *err)
{
    SQ_TRY(check(field, err));
    uint8_t *rain = mark_rain(field);
    if (rain == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "quality", "no memory");
    }
    const squall_status status =
        dry_pieces(field, rain, least_cells > 0 ? least_cells : 1, 0, removed, err);
    sq_free(rain);
    return status;
}

/* Unmark what a square of 3 x 3 marked cells covers: `square` is scratch. */
static void keep_thin(uint8_t *marked, uint8_t *square, size_t width, size_t height)
{
    memset(square, 0, width * height);
    for (size_t y = 1; y + 1 < height; y++) {
        for (size_t x = 1; x + 1 < width; x++) {
            const uint8_t *at = marked + y * width + x;
            const uint8_t *above = at - width, *below = at + width;
            const int all = at[-1] & at[0] & at[1] & above[-1] & above[0] & above[1] & below[-1] &
                            below[0] & below[1];
            for (size_t j = 0; all != 0 && j < 3; j++) {
                memset(square + (y + j - 1) * width + x - 1, 1, 3);
            }
        }
    }
    for (size_t i = 0; i < width * height; i++) {
        marked[i] = marked[i] != 0 && square[i] == 0;
    }
}

squall_status squall_quality_spokes(squall_field *field, double least_length, size_t *removed,
                                    squall_error *err)
{
    SQ_TRY(check(field, err));
    const size_t width = field->grid.width, height = field->grid.height;
    uint8_t *thin = mark_rain(field), *square = sq_alloc_raw(width * height, 1);
    squall_status status = SQUALL_OK;
    if (thin == NULL || square == NULL) {
        status =
            sq_fail(err, SQUALL_E_MEMORY, "quality", "no memory for %zu cells", width * height);
    } else {
        keep_thin(thin, square, width, height);
        status = dry_pieces(field, thin, 0, least_length, removed, err);
    }
    sq_free(thin);
    sq_free(square);
    return status;
}

squall_status squall_quality_mask(squall_field *field, double least, size_t *removed,
                                  squall_error *err)
{
    size_t count = 0;
    if (!(least >= 0.0 && least <= 1.0)) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "quality", "%g is no least quality from 0 to 1",
                       least);
    }
    for (size_t i = 0; field->quality != NULL && i < field->grid.width * field->grid.height; i++) {
        if (field->mask[i] != SQUALL_CELL_NO_COVERAGE && (double)field->quality[i] < least) {
            field->mask[i] = SQUALL_CELL_NO_COVERAGE;
            field->values[i] = NAN;
            count++;
        }
    }
    if (removed != NULL) {
        *removed = count;
    }
    return SQUALL_OK;
}
