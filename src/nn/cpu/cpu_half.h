/* nn/cpu/cpu_half.h - steps whose tensors lie in 16 bits: the same kernels, on bands of rows that
 * are widened to float32 before and narrowed behind; for the cpu_half files.
 *
 * A step becomes its twin: the same work on float32, on a band of output rows of one image where
 * the operator takes rows to rows, else on all of it. Only the band's tensors exist in float32, in
 * scratch memory. Packed weights lie in 16 bits too and are widened once a run.
 */
#ifndef SQ_NN_CPU_CPU_HALF_H
#define SQ_NN_CPU_CPU_HALF_H

#include "nn/cpu/cpu_kernels.h"

/** Numbers of 16 bits to float32 and back, to nearest even. */
typedef struct sq_cpu_half {
    const char *name;
    void (*widen_f16)(const uint16_t *from, float *to, size_t count);
    void (*narrow_f16)(const float *from, uint16_t *to, size_t count);
    void (*widen_bf16)(const uint16_t *from, float *to, size_t count);
    void (*narrow_bf16)(const float *from, uint16_t *to, size_t count);
} sq_cpu_half;

extern const sq_cpu_half sq_cpu_half_c;
#if defined(__x86_64__)
extern const sq_cpu_half sq_cpu_half_avx2, sq_cpu_half_avx512;
#endif

/** The conversions for this host, SQUALL_CPU respected. */
const sq_cpu_half *sq_cpu_half_pick(void);

enum { SQ_HALF_INPUTS = 16, SQ_HALF_OUTPUTS = 8, SQ_HALF_PIECE = 1 << 16 };

/** How a tensor of the step fills one of the twin. */
typedef struct sq_half_port {
    squall_dtype dtype; /* of the step's tensor */
    uint32_t from, to;  /* its number there, and here */
    bool per_image;     /* each image has planes of its own; else all of it is one row of numbers */
    bool rows;          /* a band of its rows is taken; else all of them */
    uint8_t shift;      /* 1: each number stands for 2 x 2 */
    size_t planes, height, width, lanes; /* as the step has it; width in numbers */
    size_t first_plane;                  /* in the twin's tensor */
    size_t pieces;                       /* of work: planes, or parts of what is one row */
    size_t at; /* of the twin's tensor in scratch; SIZE_MAX: it is the step's own */
} sq_half_port;

typedef struct sq_half_twin {
    sq_op op;
    uint32_t in_count, out_count, port_count;
    squall_tensor in[SQ_HALF_INPUTS], out[SQ_HALF_OUTPUTS];
    sq_half_port ports[SQ_HALF_INPUTS], outs[SQ_HALF_OUTPUTS];
    int64_t images, height, rows, bands; /* of the outputs; rows are those of a band */
    int64_t stride, before, in_rows; /* a band that begins at y reads `in_rows` rows of input from y
                                      * stride - before on */
    squall_dtype dtype;              /* F16 or BF16 */
    size_t packed_floats, packed_at; /* of weights, and where they are widened to; 0: as they are */
    size_t scratch_bytes;            /* with the inner tactic's, which comes first */
} sq_half_twin;

/** What run needs, in the state; the inner tactic's state is behind it. */
typedef struct sq_half_state {
    sq_half_twin twin;
    const sq_cpu_half *half;
    squall_status (*run)(const sq_call *call);
    size_t inner_state; /* bytes before it; 0: it has none */
} sq_half_state;

/** Whether a step has tensors in 16 bits. */
bool sq_half_wanted(const sq_step *step);

/** The twin of a step, as far as it does not hang on the tactic. `*attrs` are the twin's where they
 * are not the step's: free them; `count` 0 otherwise. False, with words, when there is none. */
bool sq_half_twin_make(const sq_step *step, sq_half_twin *twin, sq_attrs *attrs, sq_reason *why);

/** What hangs on the tactic of the twin: layouts, and what lies where in scratch. `wide`: its
 * weights lie in float32. */
bool sq_half_twin_settle(const sq_step *step, const sq_tactic *inner, bool wide, sq_half_twin *twin,
                         sq_reason *why);

/** The twin as a step; it points into `twin`. */
sq_step sq_half_twin_step(const sq_step *step, sq_half_twin *twin, const sq_attrs *attrs);

/** `count` numbers from number `first` of the tensor's memory on; float32 is copied. */
void sq_half_widen(const sq_cpu_half *half, squall_dtype dtype, const void *from, float *to,
                   size_t first, size_t count);
/** And back, to number `first` and on. */
void sq_half_narrow(const sq_cpu_half *half, squall_dtype dtype, const float *from, void *to,
                    size_t first, size_t count);

/** Whether a step is such a conversion itself. */
bool sq_half_is_cast(const sq_step *step);

/** The faces of cpu_backend.c for such steps. */
size_t sq_half_tactics(const sq_step *step, int threads, sq_tactic *out, sq_reason *why);
squall_status sq_half_pack(const sq_step *step, const sq_tactic *tactic, void *packed,
                           squall_error *err);
squall_status sq_half_restore(const sq_step *step, const char *name, int threads, sq_tactic *out,
                              squall_error *err);
squall_status sq_half_bind(const sq_step *step, const sq_tactic *tactic, int threads, void *state,
                           squall_error *err);
squall_status sq_half_run(const sq_call *call);

#endif /* SQ_NN_CPU_CPU_HALF_H */
