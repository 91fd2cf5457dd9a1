/* wx/nowcast/nowcast_classic.c - forecasts without a network: persistence, extrapolation, S-PROG,
 * STEPS. */
#include <string.h>

#include "wx/nowcast/nowcast.h"

const char *squall_method_name(squall_method method)
{
    static const char *const names[SQUALL_METHODS] = {"auto",  "persistence", "extrapolation",
                                                      "model", "sprog",       "steps",
                                                      "blend"};
    return (unsigned)method < SQUALL_METHODS ? names[method] : "unknown";
}

void squall_forecast_destroy(squall_forecast **forecast)
{
    if (forecast == NULL || *forecast == NULL) {
        return;
    }
    for (size_t i = 0; (*forecast)->fields != NULL && i < (*forecast)->count; i++) {
        squall_field_destroy(&(*forecast)->fields[i]);
    }
    squall_ensemble_destroy(&(*forecast)->ensemble);
    sq_free((*forecast)->fields);
    sq_free((*forecast)->leads_s);
    sq_free(*forecast);
    *forecast = NULL;
}

static void persist(const sq_frames *frames, squall_forecast *forecast)
{
    for (size_t i = 0; i < forecast->count; i++) {
        squall_field *out = forecast->fields[i];
        const squall_field *latest = frames->latest;
        const size_t cells = out->grid.width * out->grid.height;
        memcpy(out->values, latest->values, cells * sizeof *out->values);
        memcpy(out->mask, latest->mask, cells * sizeof *out->mask);
        out->valid_time = latest->valid_time + forecast->leads_s[i];
    }
}

/* The mean of the members takes the place of the fields. */
static squall_status run_steps(const sq_frames *frames, const squall_motion *motion,
                               const squall_ensemble_options *options, squall_forecast *forecast,
                               squall_error *err)
{
    SQ_TRY(squall_steps_run(frames->items, frames->count, motion, forecast->leads_s,
                            forecast->count, options, &forecast->ensemble, err));
    for (size_t i = 0; i < forecast->count; i++) {
        squall_field_destroy(&forecast->fields[i]);
        forecast->fields[i] = forecast->ensemble->mean[i];
        forecast->ensemble->mean[i] = NULL;
    }
    return SQUALL_OK;
}

squall_status sq_classic_run(squall_method method, const sq_frames *frames,
                             const squall_motion *motion, const squall_ensemble_options *options,
                             squall_forecast *forecast, squall_error *err)
{
    squall_advect_options carrying;
    squall_advect_options_init(&carrying);
    carrying.threads = options->threads;
    switch (method) {
    case SQUALL_METHOD_EXTRAPOLATION:
        return squall_advect_series(frames->latest, motion, forecast->leads_s, forecast->count,
                                    &carrying, forecast->fields, err);
    case SQUALL_METHOD_SPROG:
        return squall_sprog_run(frames->items, frames->count, motion, forecast->leads_s,
                                forecast->count, options, forecast->fields, err);
    case SQUALL_METHOD_STEPS:
        return run_steps(frames, motion, options, forecast, err);
    default:
        persist(frames, forecast);
        return SQUALL_OK;
    }
}
