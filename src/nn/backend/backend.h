/* nn/backend/backend.h - the one face of ref, cpu and cuda: what they can run, and how.
 *
 * Building: `tactics` lists the ways to run a step; `pack` makes the constants of the one chosen.
 * Loading: `bind` turns a step into a state, once. Running: `run`, which allocates nothing, takes
 * no lock and writes no log.
 */
#ifndef SQ_NN_BACKEND_BACKEND_H
#define SQ_NN_BACKEND_BACKEND_H

#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "nn/op/op.h"

/** Backends by number, as engine files hold them. */
enum { SQ_BACKEND_REF = 1, SQ_BACKEND_CPU = 2, SQ_BACKEND_CUDA = 3 };

#define SQ_TACTIC_NAME 48
#define SQ_MAX_TACTICS 16

/** One way to run a step. */
typedef struct sq_tactic {
    char name[SQ_TACTIC_NAME]; /* unique in its backend: "conv_direct_c16_avx512"; goes into engines
                                */
    uint8_t in_layout[SQ_MAX_INPUTS];   /* squall_layout that each input must have */
    uint8_t out_layout[SQ_MAX_OUTPUTS]; /* and that each output gets */
    uint8_t
        in_dropped[SQ_MAX_INPUTS]; /* 1: `pack` replaces this constant, drop it from the engine */
    size_t packed_bytes;           /* size of what `pack` fills; 0 for none */
    size_t state_bytes;            /* size of what `bind` fills; 0 for none */
    size_t scratch_bytes;          /* for one run, for the whole of `threads` */
    int8_t in_place;               /* the input whose memory output 0 may take over, or -1 */
    double cost;                   /* rough seconds, to rank; 0 unknown */
} sq_tactic;

/** Why a backend cannot run a step, in words for --explain. */
typedef struct sq_reason {
    char text[192];
} sq_reason;

/** A device with memory of its own, opened for one context: its memory, and one queue of work. */
typedef struct sq_device sq_device;

/** What a backend can do whose steps run on a device. Work is done in the order in which it is
 * asked for; nothing has to be done before `wait` returns. Calls on one device are not made side by
 * side.
 */
typedef struct sq_device_face {
    /** Open a device that can run `kernels`, which were made for `isa` ("sm_90a").
     * SQUALL_E_MISMATCH with words when this host has none. */
    squall_status (*open)(const char *isa, const void *kernels, size_t bytes, sq_device **out,
                          squall_error *err);
    /** Release it and all that was taken. */
    void (*close)(sq_device **device);
    /** Memory of the device, 256-byte aligned, until it is closed. */
    squall_status (*take)(sq_device *device, size_t bytes, void **out, squall_error *err);
    /** Copy to the device, and from it. */
    squall_status (*put)(sq_device *device, void *to, const void *from, size_t bytes);
    squall_status (*get)(sq_device *device, void *to, const void *from, size_t bytes);
    squall_status (*wait)(sq_device *device);
    /** Note down the steps that run until `keep` instead of running them; `replay` runs them all.
     */
    squall_status (*record)(sq_device *device);
    squall_status (*keep)(sq_device *device);
    squall_status (*replay)(sq_device *device);
    /** Make `count` marks, set one, and read the seconds between two that have been reached. */
    squall_status (*marks)(sq_device *device, size_t count);
    squall_status (*mark)(sq_device *device, size_t index);
    double (*seconds)(sq_device *device, size_t from, size_t to);
} sq_device_face;

/** A step bound to memory. */
typedef struct sq_call {
    const sq_step *step; /* all data pointers set */
    const void *packed;  /* from `pack`, 64-byte aligned; NULL for none */
    const void *state;   /* from `bind`; NULL for none */
    void *scratch;       /* 64-byte aligned; belongs to this context */
    sq_pool *pool;       /* NULL: the caller alone */
    sq_device *device;   /* that all of this lies on; NULL: this processor */
} sq_call;

typedef struct sq_backend {
    uint32_t id;
    const char *name;             /* "ref", "cpu", "cuda" */
    const sq_device_face *device; /* NULL: its steps run on this processor */

    /** The ways to run `step` with `threads` threads, best guess first. step->in[i].layout is what
     * the producer offers; a tactic may ask for another (the compiler inserts a reorder). Returns
     * how many of at most SQ_MAX_TACTICS were filled into `out`; 0 with `why` filled when it cannot
     * be run. */
    size_t (*tactics)(const sq_step *step, int threads, sq_tactic *out, sq_reason *why);

    /** Fill `packed` (tactic->packed_bytes, 64-byte aligned, zeroed) from the step's constants. */
    squall_status (*pack)(const sq_step *step, const sq_tactic *tactic, void *packed,
                          squall_error *err);

    /** Find the tactic of a stored step by its name; fills sizes and layouts again, from the step
     * alone, so that a hostile engine cannot ask for less than a run will use. SQUALL_E_MISMATCH
     * when this host has not got it. */
    squall_status (*restore)(const sq_step *step, const char *name, int threads, sq_tactic *out,
                             squall_error *err);

    /** Fill `state` (tactic->state_bytes): all that run would otherwise work out each time. Types
     * of the step are final; data pointers are not set yet. */
    squall_status (*bind)(const sq_step *step, const sq_tactic *tactic, int threads, void *state,
                          squall_error *err);

    /** Which function runs a tactic; looked up once at load. Never fails after `restore`. */
    squall_status (*(*runner)(const sq_step *step, const sq_tactic *tactic))(const sq_call *call);
} sq_backend;

#endif /* SQ_NN_BACKEND_BACKEND_H */
