/* wx/calib/calib_weather.c - the weather in a window of a frame, in words and strata. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "wx/calib/calib.h"

static const double wet_mm_h = 0.1, heavy_mm_h = 10.0, dry_share = 0.005;

static const struct {
    const char *name;
    uint32_t count;
    const char *strata[SQ_ASPECT_MOST];
} aspects[SQ_ASPECTS] = {
    [SQ_ASPECT_REGIME] = {"regime", 4, {"dry", "stratiform", "mixed", "convective"}},
    [SQ_ASPECT_WET] = {"wet", 3, {"below 5 %", "5 to 30 %", "30 % and more"}},
    [SQ_ASPECT_MAXIMUM] = {"maximum", 3, {"below 2 mm/h", "2 to 20 mm/h", "20 mm/h and more"}},
    [SQ_ASPECT_SEASON] = {"season", 4, {"winter", "spring", "summer", "autumn"}},
    [SQ_ASPECT_HOUR] = {"hour", 4, {"0 to 6", "6 to 12", "12 to 18", "18 to 24"}},
};

const char *sq_aspect_name(sq_aspect aspect)
{
    return aspects[aspect].name;
}

uint32_t sq_aspect_count(sq_aspect aspect)
{
    return aspects[aspect].count;
}

const char *sq_aspect_stratum(sq_aspect aspect, uint32_t stratum)
{
    return aspects[aspect].strata[stratum];
}

/* Season by the month, half a year later in the south; hour by the sun, an hour for 15 degrees. */
static squall_status set_time(const squall_field *field, double column, double row, sq_weather *out,
                              squall_error *err)
{
    int month;
    double lon, lat;
    SQ_TRY(squall_grid_to_lonlat(&field->grid, &column, &row, 1, &lon, &lat, err));
    const int64_t local = field->valid_time + (isfinite(lon) ? (int64_t)(lon * 240) : 0);
    sq_time_split(field->valid_time, NULL, &month, NULL, NULL, NULL, NULL, NULL);
    const int shifted = month % 12 + (isfinite(lat) && lat < 0 ? 6 : 0);
    out->stratum[SQ_ASPECT_SEASON] = (uint8_t)(shifted % 12 / 3);
    out->stratum[SQ_ASPECT_HOUR] = (uint8_t)(((local % 86400 + 86400) % 86400) / 21600);
    return SQUALL_OK;
}

static void set_rain(sq_weather *out)
{
    out->stratum[SQ_ASPECT_REGIME] = out->wet_share < dry_share ? 0
                                     : out->heavy_share < 0.1   ? 1
                                     : out->heavy_share < 0.5   ? 2
                                                                : 3;
    out->stratum[SQ_ASPECT_WET] = out->wet_share < 0.05 ? 0 : out->wet_share < 0.3 ? 1 : 2;
    out->stratum[SQ_ASPECT_MAXIMUM] = out->max_mm_h < 2 ? 0 : out->max_mm_h < 20 ? 1 : 2;
}

squall_status sq_weather_of(const squall_field *field, size_t column, size_t row, size_t width,
                            size_t height, sq_weather *out, squall_error *err)
{
    size_t covered = 0, wet = 0;
    double rain = 0, heavy = 0, most = 0;
    memset(out, 0, sizeof *out);
    for (size_t y = row; y < row + height; y++) {
        for (size_t x = column; x < column + width; x++) {
            const size_t i = y * field->grid.width + x;
            const double rate = field->mask[i] == SQUALL_CELL_VALUE ? (double)field->values[i] : 0;
            covered += field->mask[i] != SQUALL_CELL_NO_COVERAGE;
            if (rate >= wet_mm_h) {
                wet++;
                rain += rate;
                heavy += rate >= heavy_mm_h ? rate : 0;
                most = rate > most ? rate : most;
            }
        }
    }
    out->time = field->valid_time;
    out->covered = width * height > 0 ? (double)covered / (double)(width * height) : 0;
    out->wet_share = covered > 0 ? (double)wet / (double)covered : 0;
    out->heavy_share = rain > 0 ? heavy / rain : 0;
    out->max_mm_h = most;
    set_rain(out);
    return set_time(field, (double)column + (double)width / 2, (double)row + (double)height / 2,
                    out, err);
}

const char *sq_weather_format(const sq_weather *weather, char *text)
{
    snprintf(text, SQ_WEATHER_TEXT, "%s, wet %s, maximum %s",
             sq_aspect_stratum(SQ_ASPECT_REGIME, weather->stratum[SQ_ASPECT_REGIME]),
             sq_aspect_stratum(SQ_ASPECT_WET, weather->stratum[SQ_ASPECT_WET]),
             sq_aspect_stratum(SQ_ASPECT_MAXIMUM, weather->stratum[SQ_ASPECT_MAXIMUM]));
    return text;
}
