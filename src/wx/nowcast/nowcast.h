/* wx/nowcast/nowcast.h - the radar frames that a forecast starts from. */
#ifndef SQ_WX_NOWCAST_NOWCAST_H
#define SQ_WX_NOWCAST_NOWCAST_H

#include "squall/nowcast.h"

#include "base/base.h"

#define SQ_MOTION_FRAMES   4    /* frames that the motion is found from, at most */
#define SQ_MOTION_WINDOW_S 2700 /* and how far back they may lie, seconds */

/* The usable radar frames: on one grid, not later than the issue time, oldest first. */
typedef struct sq_frames {
    const squall_field **items; /* owned array of borrowed fields, [count] */
    size_t count;
    const squall_field *latest; /* the last of them */
} sq_frames;

/** Choose frames from the source "radar"; what is left out goes to `notes`. SQUALL_E_NO_DATA when
 * none is left. Release with sq_frames_free(). */
SQUALL_MUST_USE squall_status sq_frames_select(const squall_source *sources, size_t source_count,
                                               int64_t issue_time, sq_frames *out,
                                               squall_notes *notes, squall_error *err);
void sq_frames_free(sq_frames *frames);

#endif /* SQ_WX_NOWCAST_NOWCAST_H */
