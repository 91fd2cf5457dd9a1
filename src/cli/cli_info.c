/* cli/cli_info.c - squall info: what was understood of files. */
#include <math.h>
#include <string.h>

#include "cli/cli.h"

static const char *quantity_text(const squall_field *field)
{
    switch (field->quantity) {
    case SQUALL_RAIN_RATE:
        return "rain rate";
    case SQUALL_ACCUMULATION:
        return "accumulation";
    case SQUALL_REFLECTIVITY:
        return "reflectivity";
    case SQUALL_OTHER:
        break;
    }
    return "other";
}

/* Longitude and latitude of the outer corners: upper left, upper right, lower right, lower left. */
static void corners(const squall_grid *grid, double *lon, double *lat)
{
    const double w = (double)grid->width, h = (double)grid->height;
    const double column[4] = {0, w, w, 0}, row[4] = {0, 0, h, h};
    if (squall_grid_to_lonlat(grid, column, row, 4, lon, lat, NULL) != SQUALL_OK) {
        for (int i = 0; i < 4; i++) {
            lon[i] = lat[i] = NAN;
        }
    }
}

static json_t *field_json(const char *path, const squall_file *file, size_t index,
                          const squall_field *field)
{
    squall_field_counts counts;
    double lon[4], lat[4];
    static const char *const names[4] = {"upper_left", "upper_right", "lower_right", "lower_left"};
    squall_field_count(field, &counts);
    corners(&field->grid, lon, lat);
    json_t *corner_object = json_object();
    for (int i = 0; i < 4; i++) {
        json_t *pair = json_array();
        json_array_append_new(pair, cli_real(lon[i]));
        json_array_append_new(pair, cli_real(lat[i]));
        json_object_set_new(corner_object, names[i], pair);
    }
    return json_pack(
        "{s:o, s:s, s:I, s:I, s:s, s:o, s:o, s:o, s:i, s:o, s:I, s:I, s:f, s:f, s:o, s:I, s:I, "
        "s:I, s:I, s:o, s:o, s:o, s:b}",
        "file", cli_text(path), "format", squall_file_format(file), "index", (json_int_t)index,
        "count", (json_int_t)squall_file_count(file), "quantity", quantity_text(field), "dataset",
        cli_text(field->quantity_name), "unit", cli_text(field->unit_name), "valid_time",
        cli_time(field->valid_time), "window_s", (int)field->window_s, "projection",
        cli_text(field->grid.proj), "width", (json_int_t)field->grid.width, "height",
        (json_int_t)field->grid.height, "dx", field->grid.dx, "dy", field->grid.dy, "corners",
        corner_object, "no_coverage", (json_int_t)counts.no_coverage, "dry", (json_int_t)counts.dry,
        "undetected", (json_int_t)counts.undetected, "wet", (json_int_t)counts.wet, "min",
        cli_real(counts.min), "max", cli_real(counts.max), "mean", cli_real(counts.mean), "quality",
        field->quality != NULL);
}

/* A corner as text; what a satellite sees beside the earth has no place on it. */
static const char *corner_text(char text[40], double lon, double lat)
{
    if (isnan(lon) || isnan(lat)) {
        return "off the earth";
    }
    snprintf(text, 40, "%.4f %.4f", lon, lat);
    return text;
}

static void print_field(const char *path, const squall_file *file, size_t index,
                        const squall_field *field)
{
    squall_field_counts n;
    double lon[4], lat[4];
    char time[SQ_TIME_TEXT], first[40], last[40];
    const bool in_degrees = strstr(field->grid.proj, "longlat") != NULL;
    squall_field_count(field, &n);
    corners(&field->grid, lon, lat);
    const double percent = n.cells > 0 ? 100.0 / (double)n.cells : 0.0;
    printf("%s", path);
    if (squall_file_count(file) > 1) {
        printf("  [%zu of %zu]", index, squall_file_count(file));
    }
    printf("\n  format       %s\n  quantity     %s, %s (%s)\n  valid        %s",
           squall_file_format(file), quantity_text(field), field->unit_name, field->quantity_name,
           sq_time_format(field->valid_time, time));
    if (field->window_s > 0) {
        printf(", over the %d s before", field->window_s);
    }
    printf("\n  grid         %zu x %zu cells of %g x %g %s\n  projection   %s\n", field->grid.width,
           field->grid.height, field->grid.dx, field->grid.dy, in_degrees ? "degrees" : "m",
           field->grid.proj);
    printf("  corners      upper left %s, lower right %s (longitude latitude)\n",
           corner_text(first, lon[0], lat[0]), corner_text(last, lon[2], lat[2]));
    printf("  no coverage  %zu (%.1f %%)\n  dry          %zu (%.1f %%; %zu undetected)\n"
           "  wet          %zu (%.1f %%)",
           n.no_coverage, (double)n.no_coverage * percent, n.dry, (double)n.dry * percent,
           n.undetected, n.wet, (double)n.wet * percent);
    if (n.wet > 0) {
        printf(", min %g, max %g, mean %.4g %s", n.min, n.max, n.mean, field->unit_name);
    }
    printf("\n  quality      %s\n", field->quality != NULL ? "given" : "none");
}

/* One file: the times of its fields, whose values are not read. */
static squall_status show_times(const char *path, const char *quantity, json_t *list,
                                squall_error *err)
{
    char text[SQ_TIME_TEXT];
    squall_io_options options;
    squall_file *file = NULL;
    squall_io_options_init(&options);
    options.quantity = quantity;
    SQ_TRY(squall_file_open(path, &options, &file, err));
    for (size_t i = 0; i < squall_file_count(file); i++) {
        const int64_t time = squall_file_time(file, i);
        if (list != NULL) {
            json_array_append_new(list,
                                  json_pack("{s:o, s:I, s:o}", "file", cli_text(path), "index",
                                            (json_int_t)i, "valid_time", cli_time(time)));
        } else {
            printf("%s  %s [%zu]\n", sq_time_format(time, text), path, i);
        }
    }
    squall_file_close(&file);
    return SQUALL_OK;
}

/* One file: its first field, or all. */
static squall_status show_file(const char *path, const char *quantity, bool all, json_t *list,
                               squall_error *err)
{
    squall_status status;
    squall_io_options options;
    squall_file *file = NULL;
    squall_field *field = NULL;
    squall_io_options_init(&options);
    options.quantity = quantity;
    SQ_TRY(squall_file_open(path, &options, &file, err));
    const size_t count = all ? squall_file_count(file) : 1;
    for (size_t i = 0; i < count; i++) {
        SQ_TRY_GOTO(squall_file_read(file, i, &field, err));
        if (list != NULL) {
            json_array_append_new(list, field_json(path, file, i, field));
        } else {
            print_field(path, file, i, field);
        }
        squall_field_destroy(&field);
    }
    status = SQUALL_OK;
done:
    squall_field_destroy(&field);
    squall_file_close(&file);
    return status;
}

static int run(int argc, char **argv)
{
    const char *quantity = NULL;
    bool json = false, all = false, times = false;
    cli_list paths;
    int code;
    const cli_option options[] = {
        {.name = "quantity",
         .argument = "NAME",
         .text = &quantity,
         .help = "dataset to show: RATE, ACRR, DBZH, ..."},
        {.name = "all", .flag = &all, .help = "every field of a file, not only the first"},
        {.name = "times",
         .flag = &times,
         .help = "only the valid times of all fields, without reading their values"},
        {.name = "json", .flag = &json, .help = "print a JSON array, one object a field"},
    };
    if (!cli_parse(&cli_info, options, sizeof options / sizeof options[0], argc, argv, &paths,
                   &code)) {
        return code;
    }
    if (paths.count == 0) {
        fprintf(stderr, "squall info: name at least one file\n");
        cli_list_free(&paths);
        return CLI_USAGE;
    }
    json_t *list = json ? json_array() : NULL;
    for (size_t i = 0; i < paths.count; i++) {
        squall_error err = {.code = SQUALL_OK};
        if ((times ? show_times(paths.items[i], quantity, list, &err)
                   : show_file(paths.items[i], quantity, all, list, &err)) != SQUALL_OK) {
            code = cli_report("info", &err);
            if (list != NULL) {
                json_array_append_new(list,
                                      json_pack("{s:o, s:s, s:o, s:o}", "file",
                                                cli_text(paths.items[i]), "error",
                                                squall_status_name(err.code), "where",
                                                cli_text(err.where), "text", cli_text(err.text)));
            }
        }
    }
    if (list != NULL) {
        const int printed = cli_print_json(list);
        code = code == CLI_OK ? printed : code;
    }
    cli_list_free(&paths);
    return code;
}

const cli_command cli_info = {
    .name = "info",
    .arguments = "FILE...",
    .summary = "say what was understood of radar and satellite files",
    .details =
        "Formats are told by content: ODIM HDF5 composites, KNMI HDF5, CF-NetCDF, GRIB2, FMI PGM\n"
        "and GeoTIFF, DWD RADOLAN; gzipped or not.",
    .run = run,
};
