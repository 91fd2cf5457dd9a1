/* wx/product/product_netcdf_ensemble.c - members and probabilities in the NetCDF file. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "wx/grid/grid.h"
#include "wx/product/product_netcdf.h"

#define PROBABILITY_STEP 0.0001f /* of the packed probabilities */
#define PROBABILITY_FILL ((short)-1)
#define ALARM_FILL       ((signed char)-1)

enum { MAX_MEMBERS = 4096, MAX_THRESHOLDS = 64 };

void squall_product_ensemble_init(squall_product_ensemble *ensemble)
{
    memset(ensemble, 0, sizeof *ensemble);
    ensemble->struct_size = (uint32_t)sizeof *ensemble;
}

/* One list of fields, `each` for every time, on the grid and at the times of the forecast. */
static squall_status check_list(const sq_netcdf_writer *w, const squall_field *const *list,
                                size_t each, const char *what, squall_error *err)
{
    if (each > 0 && list == NULL) {
        return sq_fail(err, SQUALL_E_ARGUMENT, what, "there are none, but %zu were said", each);
    }
    for (size_t i = 0; i < w->count * each; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s %zu of time %zu", what, i % each, i / each);
        if (list[i] == NULL) {
            return sq_fail(err, SQUALL_E_ARGUMENT, name, "there is none");
        }
        if (!squall_grid_equal(&list[i]->grid, &w->fields[0]->grid, 0.01)) {
            return sq_fail(err, SQUALL_E_SHAPE, name, "is on another grid than field 0");
        }
        if (list[i]->valid_time != w->fields[i / each]->valid_time) {
            return sq_fail(err, SQUALL_E_SHAPE, name, "is of another time than field %zu",
                           i / each);
        }
    }
    return SQUALL_OK;
}

squall_status sq_netcdf_check_ensemble(sq_netcdf_writer *w, const squall_product_ensemble *ensemble,
                                       squall_error *err)
{
    squall_product_ensemble *e = &w->ensemble;
    squall_product_ensemble_init(e);
    if (ensemble == NULL) {
        return SQUALL_OK;
    }
    if (ensemble->struct_size < sizeof ensemble->struct_size) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "product ensemble",
                       "struct_size is %u; call squall_product_ensemble_init() first",
                       (unsigned)ensemble->struct_size);
    }
    memcpy(e, ensemble, ensemble->struct_size < sizeof *e ? ensemble->struct_size : sizeof *e);
    if (e->members > MAX_MEMBERS || e->thresholds > MAX_THRESHOLDS) {
        return sq_fail(err, SQUALL_E_LIMIT, "product ensemble",
                       "%zu members and %zu thresholds; at most %d and %d are written", e->members,
                       e->thresholds, MAX_MEMBERS, MAX_THRESHOLDS);
    }
    for (size_t i = 0; i < e->thresholds; i++) {
        if (e->thresholds_mm_h == NULL ||
            !(i == 0 || e->thresholds_mm_h[i] > e->thresholds_mm_h[i - 1])) {
            return sq_fail(err, SQUALL_E_ARGUMENT, "product ensemble",
                           "its thresholds must ascend");
        }
    }
    SQ_TRY(check_list(w, e->fields, e->members, "member", err));
    return check_list(w, e->probabilities, e->thresholds, "probability", err);
}

static void define_members(sq_netcdf_writer *w)
{
    const char *const texts[][2] = {{"standard_name", "realization"},
                                    {"long_name", "number of the member"},
                                    {"units", "1"},
                                    {NULL, NULL}};
    int dim = 0;
    NC(w, "realization", nc_def_dim(w->nc, "realization", w->ensemble.members, &dim));
    sq_netcdf_define_variable(w, "realization", NC_INT, 1, &dim, &w->realization);
    sq_netcdf_put_texts(w, w->realization, texts);
    sq_netcdf_define_rate(w, "precip_intensity", dim, "rain rate, each member", &w->members);
}

static void define_alarm(sq_netcdf_writer *w, int dim)
{
    static const signed char fill = ALARM_FILL, flags[] = {0, 1};
    const char *const texts[][2] = {
        {"standard_name", "status_flag"},
        {"long_name", "alarm: the probability is at least the cost of an alarm over the loss that "
                      "it prevents"},
        {"flag_meanings", "no_alarm alarm"},
        {NULL, NULL}};
    sq_netcdf_define_on_grid(w, "alarm", NC_BYTE, dim, &w->alarm);
    NC(w, "_FillValue", nc_put_att_schar(w->nc, w->alarm, "_FillValue", NC_BYTE, 1, &fill));
    NC(w, "flag_values",
       nc_put_att_schar(w->nc, w->alarm, "flag_values", NC_BYTE, sizeof flags, flags));
    NC(w, "cost_loss_ratio",
       nc_put_att_double(w->nc, w->alarm, "cost_loss_ratio", NC_DOUBLE, 1, &w->ensemble.cost_loss));
    sq_netcdf_put_texts(w, w->alarm, texts);
}

static void define_probabilities(sq_netcdf_writer *w)
{
    static const short fill = PROBABILITY_FILL;
    static const float step = PROBABILITY_STEP, zero = 0.0f;
    const char *const level[][2] = {{"long_name", "rain rate that is exceeded"},
                                    {"units", "mm h-1"},
                                    {NULL, NULL}};
    const char *const texts[][2] = {{"long_name", "probability that the rain rate is above the "
                                                  "threshold"},
                                    {"units", "1"},
                                    {NULL, NULL}};
    int dim = 0;
    NC(w, "threshold", nc_def_dim(w->nc, "threshold", w->ensemble.thresholds, &dim));
    sq_netcdf_define_variable(w, "threshold", NC_FLOAT, 1, &dim, &w->threshold);
    sq_netcdf_put_texts(w, w->threshold, level);
    sq_netcdf_define_on_grid(w, "probability_of_rain", NC_SHORT, dim, &w->probability);
    const int id = w->probability;
    NC(w, "_FillValue", nc_put_att_short(w->nc, id, "_FillValue", NC_SHORT, 1, &fill));
    NC(w, "scale_factor", nc_put_att_float(w->nc, id, "scale_factor", NC_FLOAT, 1, &step));
    NC(w, "add_offset", nc_put_att_float(w->nc, id, "add_offset", NC_FLOAT, 1, &zero));
    sq_netcdf_put_texts(w, id, texts);
    if (w->ensemble.cost_loss > 0) {
        define_alarm(w, dim);
    }
}

void sq_netcdf_define_ensemble(sq_netcdf_writer *w)
{
    if (w->ensemble.members > 0) {
        define_members(w);
    }
    if (w->ensemble.thresholds > 0) {
        define_probabilities(w);
    }
}

static short pack_probability(uint8_t mask, float probability)
{
    if (mask == SQUALL_CELL_NO_COVERAGE || !(probability >= 0.0f)) {
        return PROBABILITY_FILL;
    }
    return (short)lrintf(fminf(probability, 1.0f) / PROBABILITY_STEP);
}

/* One field, a band at a time, to place `before`, `time` of a variable. */
static void put_field(sq_netcdf_writer *w, int variable, size_t before, size_t time,
                      const squall_field *field, short (*pack)(uint8_t, float), short *band)
{
    const squall_grid *grid = w->grid;
    for (size_t first = 0; first < grid->height; first += w->band_rows) {
        const size_t rows =
            grid->height - first < w->band_rows ? grid->height - first : w->band_rows;
        const size_t start[4] = {before, time, first, 0}, size[4] = {1, 1, rows, grid->width};
        const size_t from = first * grid->width;
        for (size_t i = 0; i < rows * grid->width; i++) {
            band[i] = pack(field->mask[from + i], field->values[from + i]);
        }
        NC(w, "ensemble", nc_put_vara_short(w->nc, variable, start, size, band));
    }
}

/* Alarms of one field of probabilities, in the same way. */
static void put_alarm(sq_netcdf_writer *w, size_t threshold, size_t time, const squall_field *field,
                      signed char *band)
{
    const squall_grid *grid = w->grid;
    for (size_t first = 0; first < grid->height; first += w->band_rows) {
        const size_t rows =
            grid->height - first < w->band_rows ? grid->height - first : w->band_rows;
        const size_t start[4] = {threshold, time, first, 0}, size[4] = {1, 1, rows, grid->width};
        const size_t from = first * grid->width;
        for (size_t i = 0; i < rows * grid->width; i++) {
            const float p = field->values[from + i];
            const bool known = field->mask[from + i] != SQUALL_CELL_NO_COVERAGE && p >= 0.0f;
            band[i] = !known ? ALARM_FILL : (double)p >= w->ensemble.cost_loss ? 1 : 0;
        }
        NC(w, "alarm", nc_put_vara_schar(w->nc, w->alarm, start, size, band));
    }
}

squall_status sq_netcdf_put_ensemble(sq_netcdf_writer *w, squall_error *err)
{
    const squall_product_ensemble *e = &w->ensemble;
    const size_t cells = w->band_rows * w->grid->width;
    short *band = sq_alloc_raw(cells, sizeof *band);
    if (band == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "netCDF", "no memory for %zu cells", cells);
    }
    for (size_t i = 0; i < e->members; i++) {
        const int number = (int)i;
        NC(w, "realization", nc_put_var1_int(w->nc, w->realization, &i, &number));
        for (size_t t = 0; t < w->count; t++) {
            put_field(w, w->members, i, t, e->fields[t * e->members + i], sq_netcdf_pack_rate,
                      band);
        }
    }
    for (size_t i = 0; i < e->thresholds; i++) {
        NC(w, "threshold", nc_put_var1_float(w->nc, w->threshold, &i, &e->thresholds_mm_h[i]));
        for (size_t t = 0; t < w->count; t++) {
            put_field(w, w->probability, i, t, e->probabilities[t * e->thresholds + i],
                      pack_probability, band);
            if (e->cost_loss > 0) {
                put_alarm(w, i, t, e->probabilities[t * e->thresholds + i],
                          (signed char *)(void *)band);
            }
        }
    }
    sq_free(band);
    return SQUALL_OK;
}
