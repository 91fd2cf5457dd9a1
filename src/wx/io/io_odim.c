/* wx/io/io_odim.c - ODIM HDF5 composites and images, versions 2.0 to 2.4 (OPERA and like ones).
 *
 * Time: a rate or reflectivity is valid at the nominal time of the product, /what/date and time, as
 * long as the window of its own dataset holds it (ODYSSEY 18:00 was scanned from 17:50 to 18:05);
 * else, and for accumulations always, at the end of that window. A file may hold several times.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wx/io/io_hdf5.h"
#include "wx/io/io_odim_place.h"
#include "wx/io/io_share.h"

#define ODIM_ITEMS 4096 /* datasets listed in one file */

/* One datasetN/dataM. */
typedef struct odim_item {
    int dataset, data;
    char quantity[32];
    int64_t time;     /* valid; SQUALL_TIME_NONE if not known */
    int32_t window_s; /* of an accumulation */
} odim_item;

typedef struct odim_state {
    const sq_io_hdf5_image *image;
    odim_item *items; /* [item_count], all there are */
    size_t item_count, item_capacity;
    size_t *fields; /* [field_count], the items that are shown, one for a time */
    size_t field_count;
} odim_state;

/* What rain is told from, the best first. */
static const char *const preferred[] = {"RATE", "ACRR", "DBZH", "TH", "DBZV", "TV", "DBZ", NULL};

static squall_quantity quantity_of(const char *name)
{
    static const char *const reflectivities[] = {"DBZH", "TH", "DBZV", "TV", "DBZ", NULL};
    return strcmp(name, "RATE") == 0                 ? SQUALL_RAIN_RATE
           : strcmp(name, "ACRR") == 0               ? SQUALL_ACCUMULATION
           : sq_io_one_of(name, reflectivities) != 0 ? SQUALL_REFLECTIVITY
                                                     : SQUALL_OTHER;
}

static bool odim_knows(const sq_io_hdf5_image *image)
{
    char text[64];
    bool found;
    if (sq_io_hdf5_text(image, "/", "Conventions", text, sizeof text, &found, NULL) == SQUALL_OK &&
        strncmp(text, "ODIM_H5", 7) == 0) {
        return true;
    }
    return sq_io_hdf5_text(image, "what", "object", text, sizeof text, &found, NULL) == SQUALL_OK &&
           found;
}

/* "ODIM_H5 2.4 COMP" into `text`, out of Conventions "ODIM_H5/V2_4" or, where that is missing,
 * version "H5rad 2.4"; and take only objects that are maps. */
static squall_status check_object(const sq_io_hdf5_image *image, char *text, squall_error *err)
{
    static const char *const maps[] = {"COMP", "IMAGE", NULL};
    static const char *const polar[] = {"PVOL", "SCAN", "RAY", "AZIM", "ELEV", NULL};
    char version[32], object[16], where[SQ_IO_WHERE];
    bool found;
    int major = 0, minor = 0;
    SQ_TRY(sq_io_hdf5_text(image, "/", "Conventions", version, sizeof version, &found, err));
    if (sscanf(version, "ODIM_H5/V%3d_%3d", &major, &minor) != 2) {
        SQ_TRY(sq_io_hdf5_text(image, "what", "version", version, sizeof version, &found, err));
        (void)!sscanf(version, "H5rad %3d.%3d", &major, &minor);
    }
    SQ_TRY(sq_io_hdf5_text(image, "what", "object", object, sizeof object, &found, err));
    snprintf(text, SQ_IO_FORMAT_TEXT, "ODIM_H5 %d.%d %s", major, minor, object);
    sq_io_where(where, image->source.name, "/what/object");
    if (!found) {
        return sq_fail(err, SQUALL_E_CORRUPT, where, "missing; COMP or IMAGE is expected");
    }
    if (sq_io_one_of(object, polar)) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                       "a polar volume or scan ('%s'): rays of one radar, not a map. squall takes "
                       "composites and images (COMP, IMAGE): give it the composite of the same "
                       "time, or make one of the volumes first, with wradlib for one",
                       object);
    }
    if (!sq_io_one_of(object, maps)) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                       "'%s' is not a map; composites and images (COMP, IMAGE) are taken", object);
    }
    return SQUALL_OK;
}

/* --- what there is --- */

/* A text or number of datasetN/dataM: its own `what`, else that of the dataset. Nothing further up
 * and nothing of a neighbour counts. */
static squall_status item_text(const sq_io_hdf5_image *image, const odim_item *item,
                               const char *name, char *text, size_t size, bool *found,
                               squall_error *err)
{
    char path[SQ_IO_HDF5_PATH];
    snprintf(path, sizeof path, "dataset%d/data%d/what", item->dataset, item->data);
    SQ_TRY(sq_io_hdf5_text(image, path, name, text, size, found, err));
    if (*found) {
        return SQUALL_OK;
    }
    snprintf(path, sizeof path, "dataset%d/what", item->dataset);
    return sq_io_hdf5_text(image, path, name, text, size, found, err);
}

/* The time of two texts "20180824" and "180000"; SQUALL_TIME_NONE if either is missing. */
static squall_status time_of(const char *date, const char *clock, const char *where, int64_t *out,
                             squall_error *err)
{
    char text[40];
    *out = SQUALL_TIME_NONE;
    if (date[0] == 0 || clock[0] == 0) {
        return SQUALL_OK;
    }
    snprintf(text, sizeof text, "%.12s%.12s", date, clock);
    if (!sq_time_parse(text, out)) {
        return sq_fail(err, SQUALL_E_CORRUPT, where,
                       "date '%.16s' and time '%.16s' are none; YYYYMMDD and HHMMSS are expected",
                       date, clock);
    }
    return SQUALL_OK;
}

static squall_status root_time(const sq_io_hdf5_image *image, int64_t *out, squall_error *err)
{
    char date[16], clock[16], where[SQ_IO_WHERE];
    bool found;
    SQ_TRY(sq_io_hdf5_text(image, "what", "date", date, sizeof date, &found, err));
    SQ_TRY(sq_io_hdf5_text(image, "what", "time", clock, sizeof clock, &found, err));
    return time_of(date, clock, sq_io_where(where, image->source.name, "/what/date"), out, err);
}

static squall_status item_times(const sq_io_hdf5_image *image, int64_t nominal, odim_item *item,
                                squall_error *err)
{
    static const char *const names[] = {"startdate", "starttime", "enddate", "endtime"};
    char texts[4][16], where[SQ_IO_WHERE];
    bool found;
    int64_t start, end;
    for (size_t i = 0; i < 4; i++) {
        SQ_TRY(item_text(image, item, names[i], texts[i], sizeof texts[i], &found, err));
    }
    sq_io_where(where, image->source.name, "/dataset%d/what", item->dataset);
    SQ_TRY(time_of(texts[0], texts[1], where, &start, err));
    SQ_TRY(time_of(texts[2], texts[3], where, &end, err));
    const bool window = start != SQUALL_TIME_NONE && end != SQUALL_TIME_NONE;
    if (window && (end < start || end - start > 366 * (int64_t)86400)) {
        return sq_fail(err, SQUALL_E_CORRUPT, where,
                       "a window from %s %s to %s %s; it must end after it begins, within a year",
                       texts[0], texts[1], texts[2], texts[3]);
    }
    item->time = end != SQUALL_TIME_NONE ? end : nominal;
    if (quantity_of(item->quantity) == SQUALL_ACCUMULATION) {
        item->window_s = window ? (int32_t)(end - start) : 0;
    } else if (window && nominal >= start && nominal <= end) {
        item->time = nominal;
    }
    return SQUALL_OK;
}

static squall_status add_item(odim_state *s, int dataset, int data, int64_t nominal,
                              squall_error *err)
{
    odim_item item = {.dataset = dataset, .data = data};
    bool found;
    SQ_TRY(
        item_text(s->image, &item, "quantity", item.quantity, sizeof item.quantity, &found, err));
    if (!found) {
        return SQUALL_OK; /* nobody can say what it is */
    }
    SQ_TRY(item_times(s->image, nominal, &item, err));
    if (s->item_count == ODIM_ITEMS) {
        return sq_fail(err, SQUALL_E_LIMIT, s->image->source.name, "more than %d datasets",
                       ODIM_ITEMS);
    }
    if (s->item_count == s->item_capacity) {
        const size_t capacity = 2 * s->item_capacity + 4;
        odim_item *grown = sq_regrow(s->items, s->item_capacity, capacity, sizeof *grown);
        if (grown == NULL) {
            return sq_fail(err, SQUALL_E_MEMORY, s->image->source.name, "no memory to list it");
        }
        s->items = grown;
        s->item_capacity = capacity;
    }
    s->items[s->item_count++] = item;
    return SQUALL_OK;
}

static squall_status list_items(odim_state *s, squall_error *err)
{
    squall_status status;
    sq_io_hdf5_numbers datasets = {0}, data = {0};
    int64_t nominal;
    SQ_TRY_GOTO(root_time(s->image, &nominal, err));
    SQ_TRY_GOTO(sq_io_hdf5_list(s->image, "/", "dataset", &datasets, err));
    for (size_t i = 0; i < datasets.count; i++) {
        char path[SQ_IO_HDF5_PATH];
        snprintf(path, sizeof path, "dataset%d", datasets.values[i]);
        sq_free(data.values);
        SQ_TRY_GOTO(sq_io_hdf5_list(s->image, path, "data", &data, err));
        for (size_t j = 0; j < data.count; j++) {
            SQ_TRY_GOTO(add_item(s, datasets.values[i], data.values[j], nominal, err));
        }
    }
done:
    sq_free(datasets.values);
    sq_free(data.values);
    return status;
}

/* The quantity to show: the one asked for, else the best that is there; NULL if there is none. */
static const char *choose(const odim_state *s, const char *wanted)
{
    const char *const only[] = {wanted, NULL};
    for (const char *const *name = wanted != NULL ? only : preferred; *name != NULL; name++) {
        for (size_t i = 0; i < s->item_count; i++) {
            if (sq_io_same_word(s->items[i].quantity, *name)) {
                return s->items[i].quantity;
            }
        }
    }
    return NULL;
}

static squall_status choose_fields(odim_state *s, squall_error *err)
{
    const sq_io_source *source = &s->image->source;
    const char *quantity = choose(s, source->quantity);
    if (quantity == NULL) {
        char held[128] = "";
        for (size_t i = 0; i < s->item_count; i++) {
            const size_t used = strlen(held);
            snprintf(held + used, sizeof held - used, "%s%s", used > 0 ? ", " : "",
                     s->items[i].quantity);
        }
        return sq_fail(err, SQUALL_E_NO_DATA, source->name,
                       "no dataset of quantity %s; there is: %s",
                       source->quantity != NULL ? source->quantity : "RATE, ACRR, DBZH or TH",
                       held[0] != 0 ? held : "none that says what it is");
    }
    s->fields = sq_alloc(s->item_count, sizeof *s->fields);
    if (s->fields == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, source->name, "no memory to list it");
    }
    for (size_t i = 0; i < s->item_count; i++) {
        bool known = strcmp(s->items[i].quantity, quantity) != 0;
        for (size_t j = 0; j < s->field_count && !known; j++) {
            known = s->items[s->fields[j]].time == s->items[i].time;
        }
        if (!known) { /* of two at one time (heights of a CAPPI) the first is the lowest */
            s->fields[s->field_count++] = i;
        }
    }
    return SQUALL_OK;
}

static void odim_close(void *state)
{
    odim_state *s = state;
    if (s != NULL) {
        sq_free(s->items);
        sq_free(s->fields);
        sq_free(s);
    }
}

static squall_status odim_open(const sq_io_hdf5_image *image, void **state, size_t *count,
                               char *text, squall_error *err)
{
    squall_status status;
    odim_state *s = NULL;
    SQ_TRY(check_object(image, text, err));
    s = sq_alloc(1, sizeof *s);
    if (s == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, image->source.name, "no memory to open it");
    }
    s->image = image;
    SQ_TRY_GOTO(list_items(s, err));
    SQ_TRY_GOTO(choose_fields(s, err));
    *count = s->field_count;
    *state = s;
    s = NULL;
done:
    odim_close(s);
    return status;
}

static int64_t odim_time(const void *state, size_t index)
{
    const odim_state *s = state;
    return index < s->field_count ? s->items[s->fields[index]].time : SQUALL_TIME_NONE;
}

/* --- values --- */

/* Read how a dataset is packed from `own`, and what is not there from `outer` (may be NULL). */
static squall_status read_packing(const sq_io_hdf5_image *image, const char *own, const char *outer,
                                  const sq_io_hdf5_dataset *dataset, sq_io_packing *packing,
                                  squall_error *err)
{
    double nodata = NAN;
    bool has_nodata = false, has_gain = false, has_offset = false;
    struct {
        const char *name;
        double *value;
        bool *found;
    } const wanted[] = {{"gain", &packing->gain, &has_gain},
                        {"offset", &packing->offset, &has_offset},
                        {"nodata", &nodata, &has_nodata},
                        {"undetect", &packing->undetect, &packing->has_undetect}};
    sq_io_packing_init(packing);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        SQ_TRY(
            sq_io_hdf5_number(image, own, wanted[i].name, wanted[i].value, wanted[i].found, err));
        if (!*wanted[i].found && outer != NULL) {
            SQ_TRY(sq_io_hdf5_number(image, outer, wanted[i].name, wanted[i].value, wanted[i].found,
                                     err));
        }
    }
    /* Floats without gain and offset are taken for what they are; integers never are. */
    if ((dataset->integer && (!has_gain || !has_offset)) || !isfinite(packing->gain) ||
        !isfinite(packing->offset) || packing->gain == 0) {
        return sq_fail(err, SQUALL_E_CORRUPT, dataset->where,
                       "gain (%g%s) and offset (%g%s) do not say what its numbers mean",
                       packing->gain, has_gain ? "" : ", missing", packing->offset,
                       has_offset ? "" : ", missing");
    }
    packing->undetect = sq_io_hdf5_stored(dataset, packing->undetect);
    if (has_nodata) {
        (void)sq_io_packing_add_missing(packing, sq_io_hdf5_stored(dataset, nodata));
    }
    return SQUALL_OK;
}

/* How likely the group `path` is a quality index of 0..1: 0 not at all. "distance.radar" and the
 * like are quality fields of ODIM, too, but measure metres. */
static int quality_rank(const sq_io_hdf5_image *image, const char *path)
{
    char group[SQ_IO_HDF5_PATH], task[64], quantity[32];
    bool found;
    snprintf(group, sizeof group, "%.80s/how", path);
    if (sq_io_hdf5_text(image, group, "task", task, sizeof task, &found, NULL) != SQUALL_OK) {
        task[0] = 0;
    }
    snprintf(group, sizeof group, "%.80s/what", path);
    if (sq_io_hdf5_text(image, group, "quantity", quantity, sizeof quantity, &found, NULL) !=
        SQUALL_OK) {
        quantity[0] = 0;
    }
    return strstr(task, "qi_total") != NULL                                     ? 3
           : strcmp(quantity, "QIND") == 0                                      ? 2
           : strstr(task, "distance") == NULL && strstr(task, "height") == NULL ? 1
                                                                                : 0;
}

/* The best of the groups quality1, quality2, ... in `parent`, if better than `*rank`. */
static squall_status best_quality(const sq_io_hdf5_image *image, const char *parent, char *path,
                                  int *rank, squall_error *err)
{
    sq_io_hdf5_numbers groups;
    const squall_status status = sq_io_hdf5_list(image, parent, "quality", &groups, err);
    for (size_t i = 0; status == SQUALL_OK && i < groups.count; i++) {
        char candidate[SQ_IO_HDF5_PATH];
        snprintf(candidate, sizeof candidate, "%.64s/quality%d", parent, groups.values[i]);
        const int other = quality_rank(image, candidate);
        if (other > *rank) {
            *rank = other;
            snprintf(path, SQ_IO_HDF5_PATH, "%s", candidate);
        }
    }
    sq_free(groups.values);
    return status;
}

/* The group of the quality index that belongs to an item, "" if there is none; `outer` gets the
 * group that the index may inherit its packing from, "" for none. */
static squall_status find_quality(const odim_state *s, const odim_item *item, char *path,
                                  char *outer, squall_error *err)
{
    char parent[SQ_IO_HDF5_PATH];
    int rank = 0;
    path[0] = outer[0] = 0;
    snprintf(parent, sizeof parent, "dataset%d/data%d", item->dataset, item->data);
    SQ_TRY(best_quality(s->image, parent, path, &rank, err));
    snprintf(parent, sizeof parent, "dataset%d", item->dataset);
    SQ_TRY(best_quality(s->image, parent, path, &rank, err));
    if (rank > 0) {
        return SQUALL_OK;
    }
    /* OPERA before 2.4: a dataset of its own, of the same time. One of the same dataset is nearer.
     */
    const odim_item *best = NULL;
    for (size_t i = 0; i < s->item_count; i++) {
        const odim_item *other = &s->items[i];
        if (strcmp(other->quantity, "QIND") == 0 && other != item && other->time == item->time &&
            (best == NULL || other->dataset == item->dataset)) {
            best = other;
        }
    }
    if (best != NULL) {
        snprintf(path, SQ_IO_HDF5_PATH, "dataset%d/data%d", best->dataset, best->data);
        snprintf(outer, SQ_IO_HDF5_PATH, "dataset%d/what", best->dataset);
    }
    return SQUALL_OK;
}

static squall_status read_quality(const odim_state *s, const odim_item *item, squall_field *field,
                                  squall_error *err)
{
    squall_status status;
    sq_io_hdf5_dataset dataset = {.id = -1};
    sq_io_packing packing;
    char group[SQ_IO_HDF5_PATH], outer[SQ_IO_HDF5_PATH], path[SQ_IO_HDF5_PATH + 8];
    SQ_TRY(find_quality(s, item, group, outer, err));
    if (group[0] == 0) {
        return SQUALL_OK;
    }
    snprintf(path, sizeof path, "%s/data", group);
    SQ_TRY_GOTO(sq_io_hdf5_dataset_open(s->image, path, &dataset, err));
    if (dataset.width != field->grid.width || dataset.height != field->grid.height) {
        status = sq_fail(err, SQUALL_E_CORRUPT, dataset.where,
                         "quality of %zu x %zu cells for values of %zu x %zu", dataset.width,
                         dataset.height, field->grid.width, field->grid.height);
        goto done;
    }
    snprintf(path, sizeof path, "%s/what", group);
    SQ_TRY_GOTO(
        read_packing(s->image, path, outer[0] != 0 ? outer : NULL, &dataset, &packing, err));
    SQ_TRY_GOTO(squall_field_add_quality(field, err));
    SQ_TRY_GOTO(sq_io_hdf5_read_quality(&dataset, &packing, field->quality, err));
done:
    sq_io_hdf5_dataset_close(&dataset);
    return status;
}

static void describe(const odim_item *item, squall_field *field)
{
    static const char *const units[][2] = {
        {"QIND", "1"}, {"HGHT", "km"}, {"VRADH", "m/s"}, {"PROB", "1"}, {"POR", "1"}};
    const squall_quantity quantity = quantity_of(item->quantity);
    const char *unit = quantity == SQUALL_OTHER ? "" : NULL;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(units[i][0], item->quantity) == 0) {
            unit = units[i][1];
        }
    }
    squall_field_set_quantity(field, quantity, item->quantity, unit);
    field->valid_time = item->time;
    field->window_s = item->window_s;
}

static squall_status odim_read(void *state, size_t index, squall_field **out, squall_error *err)
{
    squall_status status;
    const odim_state *s = state;
    const odim_item *item = &s->items[s->fields[index]];
    sq_io_hdf5_dataset dataset = {.id = -1};
    squall_field *field = NULL;
    squall_grid grid;
    sq_io_packing packing;
    char path[SQ_IO_HDF5_PATH], outer[SQ_IO_HDF5_PATH], where[SQ_IO_WHERE];
    *out = NULL;
    snprintf(path, sizeof path, "dataset%d/data%d/data", item->dataset, item->data);
    SQ_TRY_GOTO(sq_io_hdf5_dataset_open(s->image, path, &dataset, err));
    SQ_TRY_GOTO(
        sq_io_odim_grid(s->image, item->dataset, dataset.width, dataset.height, &grid, err));
    snprintf(path, sizeof path, "dataset%d/data%d/what", item->dataset, item->data);
    snprintf(outer, sizeof outer, "dataset%d/what", item->dataset);
    SQ_TRY_GOTO(read_packing(s->image, path, outer, &dataset, &packing, err));
    const squall_quantity quantity = quantity_of(item->quantity);
    packing.no_negative = quantity == SQUALL_RAIN_RATE || quantity == SQUALL_ACCUMULATION;
    sq_io_where(where, s->image->source.name, "/dataset%d/data%d", item->dataset, item->data);
    SQ_TRY_GOTO(sq_io_field_create(&grid, where, &field, err));
    describe(item, field);
    SQ_TRY_GOTO(sq_io_hdf5_read_values(&dataset, &packing, field->values, field->mask, err));
    SQ_TRY_GOTO(read_quality(s, item, field, err));
    *out = field;
    field = NULL;
done:
    sq_io_hdf5_dataset_close(&dataset);
    squall_field_destroy(&field);
    return status;
}

const sq_io_hdf5_kind sq_io_odim = {
    .knows = odim_knows,
    .open = odim_open,
    .time = odim_time,
    .read = odim_read,
    .close = odim_close,
};
