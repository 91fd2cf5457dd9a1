/* svc/query/query_write.c - answers as CoverageJSON, GeoJSON and CSV. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "svc/query/query.h"

enum { DEGREE_DIGITS = 9, VALUE_DIGITS = 5 };

static void write_i18n(sq_json *out, const char *key, const char *text)
{
    sq_json_object(out, key);
    sq_json_text(out, "en", text);
    sq_json_end_object(out);
}

static void write_parameters(const sq_cover *cover, sq_json *out)
{
    sq_json_object(out, "parameters");
    for (size_t i = 0; i < cover->parameter_count; i++) {
        const sq_parameter *p = &sq_parameters[cover->parameters[i]];
        sq_json_object(out, p->name);
        sq_json_text(out, "type", "Parameter");
        write_i18n(out, "description", p->description);
        sq_json_object(out, "unit");
        write_i18n(out, "label", p->unit_label);
        sq_json_object(out, "symbol");
        sq_json_text(out, "value", p->unit_symbol);
        sq_json_text(out, "type", "http://www.opengis.net/def/uom/UCUM/");
        sq_json_end_object(out);
        sq_json_end_object(out);
        sq_json_object(out, "observedProperty");
        sq_json_text(out, "id", p->property_id);
        write_i18n(out, "label", p->property_label);
        sq_json_end_object(out);
        sq_json_end_object(out);
    }
    sq_json_end_object(out);
}

static void write_system(sq_json *out, const char *first, const char *second)
{
    sq_json_object(out, NULL);
    sq_json_array(out, "coordinates");
    sq_json_text(out, NULL, first);
    if (second != NULL) {
        sq_json_text(out, NULL, second);
    }
    sq_json_end_array(out);
    sq_json_object(out, "system");
    if (second != NULL) {
        sq_json_text(out, "type", "GeographicCRS");
        sq_json_text(out, "id", "http://www.opengis.net/def/crs/OGC/1.3/CRS84");
    } else {
        sq_json_text(out, "type", "TemporalRS");
        sq_json_text(out, "calendar", "Gregorian");
    }
    sq_json_end_object(out);
    sq_json_end_object(out);
}

static void write_axis(sq_json *out, const char *name, const double *values, size_t count)
{
    sq_json_object(out, name);
    sq_json_array(out, "values");
    for (size_t i = 0; i < count; i++) {
        sq_json_real(out, NULL, values[i], DEGREE_DIGITS);
    }
    sq_json_end_array(out);
    sq_json_end_object(out);
}

static void write_times(sq_json *out, const int64_t *times, size_t count)
{
    sq_json_object(out, "t");
    sq_json_array(out, "values");
    for (size_t i = 0; i < count; i++) {
        sq_json_time(out, NULL, times[i]);
    }
    sq_json_end_array(out);
    sq_json_end_object(out);
}

static void write_tuples(const sq_cover *cover, sq_json *out)
{
    sq_json_object(out, "composite");
    sq_json_text(out, "dataType", "tuple");
    sq_json_array(out, "coordinates");
    sq_json_text(out, NULL, "t");
    sq_json_text(out, NULL, "x");
    sq_json_text(out, NULL, "y");
    sq_json_end_array(out);
    sq_json_array(out, "values");
    for (size_t i = 0; i < cover->nx; i++) {
        sq_json_array(out, NULL);
        sq_json_time(out, NULL, cover->times[i]);
        sq_json_real(out, NULL, cover->x[i], DEGREE_DIGITS);
        sq_json_real(out, NULL, cover->y[i], DEGREE_DIGITS);
        sq_json_end_array(out);
    }
    sq_json_end_array(out);
    sq_json_end_object(out);
}

static const char *domain_type(const sq_cover *cover)
{
    return cover->kind == SQ_COVER_SERIES ? "PointSeries"
           : cover->kind == SQ_COVER_GRID ? "Grid"
                                          : "Trajectory";
}

static void write_domain(const sq_cover *cover, sq_json *out)
{
    sq_json_object(out, "domain");
    sq_json_text(out, "type", "Domain");
    sq_json_text(out, "domainType", domain_type(cover));
    sq_json_object(out, "axes");
    if (cover->kind == SQ_COVER_TRACK) {
        write_tuples(cover, out);
    } else {
        write_times(out, cover->times, cover->nt);
        write_axis(out, "y", cover->y, cover->ny);
        write_axis(out, "x", cover->x, cover->nx);
    }
    sq_json_end_object(out);
    sq_json_array(out, "referencing");
    write_system(out, "x", "y");
    write_system(out, "t", NULL);
    sq_json_end_array(out);
    sq_json_end_object(out);
}

static void write_range(const sq_cover *cover, size_t index, sq_json *out)
{
    const size_t count = cover->nt * cover->ny * cover->nx;
    sq_json_object(out, sq_parameters[cover->parameters[index]].name);
    sq_json_text(out, "type", "NdArray");
    sq_json_text(out, "dataType", "float");
    sq_json_array(out, "axisNames");
    if (cover->kind == SQ_COVER_TRACK) {
        sq_json_text(out, NULL, "composite");
    } else {
        sq_json_text(out, NULL, "t");
        sq_json_text(out, NULL, "y");
        sq_json_text(out, NULL, "x");
    }
    sq_json_end_array(out);
    sq_json_array(out, "shape");
    if (cover->kind != SQ_COVER_TRACK) {
        sq_json_int(out, NULL, (int64_t)cover->nt);
        sq_json_int(out, NULL, (int64_t)cover->ny);
    }
    sq_json_int(out, NULL, (int64_t)cover->nx);
    sq_json_end_array(out);
    sq_json_array(out, "values");
    for (size_t i = 0; i < count; i++) {
        sq_json_real(out, NULL, (double)cover->values[index][i], VALUE_DIGITS);
    }
    sq_json_end_array(out);
    sq_json_end_object(out);
}

static void write_coverage(const sq_cover *cover, bool whole, sq_json *out)
{
    sq_json_object(out, NULL);
    sq_json_text(out, "type", "Coverage");
    if (cover->id[0] != '\0') {
        sq_json_text(out, "id", cover->id);
    }
    write_domain(cover, out);
    if (whole) {
        write_parameters(cover, out);
    }
    sq_json_object(out, "ranges");
    for (size_t i = 0; i < cover->parameter_count; i++) {
        write_range(cover, i, out);
    }
    sq_json_end_object(out);
    sq_json_end_object(out);
}

void sq_write_covjson(const sq_cover *covers, size_t count, sq_json *out)
{
    if (count == 1) {
        write_coverage(&covers[0], true, out);
        return;
    }
    sq_json_object(out, NULL);
    sq_json_text(out, "type", "CoverageCollection");
    if (count > 0) {
        sq_json_text(out, "domainType", domain_type(&covers[0]));
        write_parameters(&covers[0], out);
    }
    sq_json_array(out, "coverages");
    for (size_t i = 0; i < count; i++) {
        write_coverage(&covers[i], false, out);
    }
    sq_json_end_array(out);
    sq_json_end_object(out);
}

/* ---------------------------------------------------------------- GeoJSON */

/* A feature at a point: its times and values. `at` is the first value, then every `step`. */
static void write_feature(const sq_cover *cover, double x, double y, const int64_t *times,
                          size_t count, size_t at, size_t step, sq_json *out)
{
    sq_json_object(out, NULL);
    sq_json_text(out, "type", "Feature");
    if (cover->id[0] != '\0') {
        sq_json_text(out, "id", cover->id);
    }
    sq_json_object(out, "geometry");
    sq_json_text(out, "type", "Point");
    sq_json_array(out, "coordinates");
    sq_json_real(out, NULL, x, DEGREE_DIGITS);
    sq_json_real(out, NULL, y, DEGREE_DIGITS);
    sq_json_end_array(out);
    sq_json_end_object(out);
    sq_json_object(out, "properties");
    sq_json_array(out, "datetime");
    for (size_t i = 0; i < count; i++) {
        sq_json_time(out, NULL, times[i]);
    }
    sq_json_end_array(out);
    for (size_t k = 0; k < cover->parameter_count; k++) {
        sq_json_array(out, sq_parameters[cover->parameters[k]].name);
        for (size_t i = 0; i < count; i++) {
            sq_json_real(out, NULL, (double)cover->values[k][at + i * step], VALUE_DIGITS);
        }
        sq_json_end_array(out);
    }
    sq_json_end_object(out);
    sq_json_end_object(out);
}

/* Points of a grid at which nothing is known are left out. */
static bool is_known(const sq_cover *cover, size_t cell)
{
    const size_t plane = cover->ny * cover->nx;
    for (size_t t = 0; t < cover->nt; t++) {
        if (!isnan(cover->values[0][t * plane + cell])) {
            return true;
        }
    }
    return false;
}

void sq_write_geojson(const sq_cover *covers, size_t count, sq_json *out)
{
    sq_json_object(out, NULL);
    sq_json_text(out, "type", "FeatureCollection");
    sq_json_array(out, "features");
    for (size_t c = 0; c < count; c++) {
        const sq_cover *cover = &covers[c];
        const size_t plane = cover->ny * cover->nx;
        for (size_t i = 0; i < plane; i++) {
            if (cover->kind == SQ_COVER_TRACK) {
                write_feature(cover, cover->x[i], cover->y[i], &cover->times[i], 1, i, 1, out);
            } else if (cover->kind == SQ_COVER_SERIES || is_known(cover, i)) {
                write_feature(cover, cover->x[i % cover->nx], cover->y[i / cover->nx], cover->times,
                              cover->nt, i, plane, out);
            }
        }
    }
    sq_json_end_array(out);
    sq_json_end_object(out);
}

/* ---------------------------------------------------------------- CSV */

static void write_line(const sq_cover *cover, int64_t time, double x, double y, size_t at,
                       sq_text *out)
{
    char text[SQ_TIME_TEXT];
    sq_text_add(out, "%s,%s,%.9g,%.9g", cover->id, sq_time_format(time, text), x, y);
    for (size_t k = 0; k < cover->parameter_count; k++) {
        const double value = (double)cover->values[k][at];
        if (isnan(value)) {
            sq_text_add(out, ",");
        } else {
            sq_text_add(out, ",%.5g", value);
        }
    }
    sq_text_add(out, "\r\n");
}

void sq_write_csv(const sq_cover *covers, size_t count, sq_text *out)
{
    sq_text_add(out, "location,time,longitude,latitude");
    for (size_t k = 0; count > 0 && k < covers[0].parameter_count; k++) {
        const sq_parameter *p = &sq_parameters[covers[0].parameters[k]];
        sq_text_add(out, ",%s (%s)", p->name, p->unit_symbol);
    }
    sq_text_add(out, "\r\n");
    for (size_t c = 0; c < count; c++) {
        const sq_cover *cover = &covers[c];
        const size_t plane = cover->ny * cover->nx;
        for (size_t t = 0; t < cover->nt; t++) {
            for (size_t i = 0; i < plane; i++) {
                if (cover->kind == SQ_COVER_TRACK) {
                    write_line(cover, cover->times[i], cover->x[i], cover->y[i], i, out);
                } else if (cover->kind == SQ_COVER_SERIES || is_known(cover, i)) {
                    write_line(cover, cover->times[t], cover->x[i % cover->nx],
                               cover->y[i / cover->nx], t * plane + i, out);
                }
            }
        }
    }
}
