/* wx/feature/feature.h - a recipe as the room keeps it. */
#ifndef SQ_WX_FEATURE_FEATURE_H
#define SQ_WX_FEATURE_FEATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "squall/feature.h"

#include "base/base.h"

#define SQ_RECIPE_CHANNELS   256 /* at most, in and out */
#define SQ_RECIPE_THRESHOLDS 16
#define SQ_RECIPE_NAME       48

/* How a value becomes a number the network likes, and back. */
typedef enum sq_curve { SQ_CURVE_LINEAR = 1, SQ_CURVE_LOG = 2, SQ_CURVE_DBR = 3 } sq_curve;

typedef struct sq_transform {
    char name[SQ_RECIPE_NAME];
    sq_curve curve;
    double min, max;  /* the value is clipped to these first */
    double epsilon;   /* LOG: ln(v + epsilon) */
    double threshold; /* DBR: below it the value is `zero_dbr`, else 10 log10(v) */
    double zero_dbr;
    double mean, scale; /* then (x - mean) / scale */
    double dry_below;   /* inverse: results below it are dry */
} sq_transform;

typedef enum sq_channel_kind {
    SQ_CHANNEL_FIELD = 1,   /* a frame of a source */
    SQ_CHANNEL_COVERAGE,    /* 1 where that frame is covered, else 0 */
    SQ_CHANNEL_QUALITY,     /* its quality, 0 where unknown */
    SQ_CHANNEL_TIME_OF_DAY, /* two channels: sin, cos of the day's angle (UTC plus longitude) */
    SQ_CHANNEL_SEASON,      /* two channels: sin, cos of the year's angle */
    SQ_CHANNEL_MOTION       /* two channels: u, v, m/s over `scale` of the transform */
} sq_channel_kind;

typedef struct sq_channel {
    sq_channel_kind kind;
    char source[SQ_RECIPE_NAME];
    int32_t time_s; /* relative to the issue time, <= 0 */
    bool fixed;     /* a static map: one field, whatever its time */
    bool required;  /* no forecast without the source */
    int transform;  /* number in the recipe */
} sq_channel;

struct squall_recipe {
    char name[SQ_RECIPE_NAME];
    bool moving;              /* inputs and outputs are in the frame that moves with the rain */
    uint32_t multiple;        /* H and W of tensors are multiples of it */
    double cell_m;            /* trained for; 0 unknown */
    int32_t tolerance_s;      /* of an observation's time */
    sq_transform *transforms; /* [transform_count] */
    sq_channel *channels; /* [channel_count]; time, season and motion take two of the tensor's */
    int32_t *leads_s;     /* [lead_count], ascending */
    size_t transform_count, channel_count, lead_count;
    size_t input_channels; /* of the tensor */
    int output_transform;
    bool matched;           /* outputs get the newest frame's values, in their own order */
    size_t threshold_count; /* 0: no probabilities */
    float thresholds_mm_h[SQ_RECIPE_THRESHOLDS]; /* ascending */
};

/** A value in the source's unit to the network's number. */
float sq_transform_forward(const sq_transform *transform, float value);
/** And back; 0 below `dry_below`. */
float sq_transform_inverse(const sq_transform *transform, float number);

/* --- feature_tensor.c --- */

/** Whether `tensor` has data, and type and shape of `wanted`. */
SQUALL_MUST_USE squall_status sq_feature_check_tensor(const squall_tensor *tensor,
                                                      const squall_tensor *wanted, const char *name,
                                                      squall_error *err);
/** Whether the recipe cannot do without a motion field, and whether `motion` fits the grid. */
SQUALL_MUST_USE squall_status sq_feature_check_motion(const squall_recipe *recipe,
                                                      const squall_motion *motion,
                                                      const squall_grid *grid, squall_error *err);
/** The frame nearest to `time`; a tie goes to the older one, which has certainly been there. NULL
 * when the source is empty. */
const squall_field *sq_feature_nearest(const squall_source *source, int64_t time);

#endif /* SQ_WX_FEATURE_FEATURE_H */
