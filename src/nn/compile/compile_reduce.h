/* nn/compile/compile_reduce.h - what the files of the reduction share. */
#ifndef SQ_NN_COMPILE_COMPILE_REDUCE_H
#define SQ_NN_COMPILE_COMPILE_REDUCE_H

#include "nn/compile/compile_internal.h"
#include "nn/onnx/onnx.h"
#include "squall/reduce.h"

/* ---- What the whole model has at each of its values. ---- */

typedef struct sq_known {
    char *name;                    /* owned */
    squall_tensor recorded;        /* owned; `data` NULL where only the type is known */
    int64_t dims[SQUALL_MAX_DIMS]; /* now: at most those of `recorded` */
    bool port;                     /* an input of the model that was written last */
} sq_known;

typedef struct sq_knowledge {
    sq_known *items; /* owned, by name */
    uint32_t count;
} sq_knowledge;

/** Run the model on the reference kernels and keep what its values are. A model that cannot be run,
 * or not be read, leaves less known; a failure is a lack of memory, or numbers or shapes of the
 * caller's that do not fit. */
SQUALL_MUST_USE squall_status sq_know(const char *model_path, const squall_reduce_options *options,
                                      sq_knowledge *out, squall_error *err);
void sq_knowledge_free(sq_knowledge *knowledge);

/** By name, or NULL. */
sq_known *sq_knowledge_find(const sq_knowledge *knowledge, const char *name);

/** Numbers for an input at its size of now: the corner of what was recorded, else seeded random
 * ones. `out` has its type; its data is given. False when there is no memory. */
bool sq_knowledge_fill(const sq_knowledge *knowledge, const char *name, squall_tensor *out);

/** Whether a model can be read and the shapes of all its values follow from its inputs'. */
bool sq_has_shapes(const unsigned char *bytes, size_t size);

/* ---- Whether a model fails. ---- */

typedef struct sq_failing {
    const squall_reduce_options *options;
    const sq_knowledge *knowledge;
    const char *out_path; /* beside which files are put for the caller's own test */
    double psnr_db;       /* of the last model that was found failing so */
    char said[256];       /* what was found of the last one, in words */
} sq_failing;

/** Try one; only what ends the reduction is a failure. */
SQUALL_MUST_USE squall_status sq_fails(sq_failing *how, const unsigned char *bytes, size_t size,
                                       bool *fails, squall_error *err);

#endif /* SQ_NN_COMPILE_COMPILE_REDUCE_H */
