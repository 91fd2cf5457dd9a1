/* svc/infer/infer.h - engines as models of the Open Inference Protocol (KServe v2): requests read,
 * run, answered and counted. It knows no HTTP. */
#ifndef SQ_SVC_INFER_INFER_H
#define SQ_SVC_INFER_INFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "squall/tensor.h"
#include "svc/config/config.h"
#include "svc/metrics/metrics.h"

#define SQ_INFER_NAME       128
#define SQ_INFER_TENSORS    64                 /* of one request */
#define SQ_INFER_JSON_BYTES ((size_t)16 << 20) /* of its JSON part */
#define SQ_INFER_VERSION    "1"                /* the one version that a model has */

/* ---------------------------------------------------------------- requests */

/** One input. */
typedef struct sq_infer_input {
    char name[SQ_INFER_NAME];
    squall_tensor tensor; /* its data lie in the body, or in `store` */
    void *store;          /* owned; NULL where they lie in the body */
} sq_infer_input;

/** One output that is asked for. */
typedef struct sq_infer_wish {
    char name[SQ_INFER_NAME];
    bool binary;
} sq_infer_wish;

/** A request to infer. Release with sq_infer_request_free(). */
typedef struct sq_infer_request {
    char id[SQ_INFER_NAME]; /* empty without */
    size_t input_count;
    sq_infer_input inputs[SQ_INFER_TENSORS];
    size_t wish_count; /* 0: all outputs, as `binary` says */
    sq_infer_wish wishes[SQ_INFER_TENSORS];
    bool binary;
} sq_infer_request;

/**
 * Read a request: JSON, and behind it the bytes of tensors in the order of the inputs.
 *
 * @param body           borrowed until the request is freed; 64-byte aligned for the sake of speed
 * @param header_length  borrowed; Inference-Header-Content-Length as it came; NULL: all is JSON
 * @param out            filled; on failure there is nothing to free
 * @return SQUALL_OK; SQUALL_E_FORMAT; SQUALL_E_SHAPE; SQUALL_E_UNSUPPORTED; SQUALL_E_LIMIT;
 *         SQUALL_E_MEMORY.
 */
SQUALL_MUST_USE squall_status sq_infer_read(const unsigned char *body, size_t size,
                                            const char *header_length, sq_infer_request *out,
                                            squall_error *err);
void sq_infer_request_free(sq_infer_request *request);

/** "FP32", "UINT8", ...; NULL for a type that the protocol does not have. */
const char *sq_infer_type_name(squall_dtype dtype);
/** SQUALL_DTYPE_NONE for another word. */
squall_dtype sq_infer_type_find(const char *name);

/* ---------------------------------------------------------------- answers */

/** An answer: JSON, and behind it the outputs that are binary. */
typedef struct sq_infer_reply {
    unsigned char *bytes; /* owned (sq_free) */
    size_t size;
    size_t header_size; /* of the JSON; 0: it is all */
} sq_infer_reply;

/* ---------------------------------------------------------------- models */

/** The models: one for each [engine] of the configuration. Threads: all calls are safe. */
typedef struct sq_infer sq_infer;
/** One of them, kept by whoever found it. */
typedef struct sq_infer_model sq_infer_model;

/** @param metrics  kept; may be NULL. @return NULL without memory. */
sq_infer *sq_infer_create(sq_metrics *metrics);
void sq_infer_destroy(sq_infer **infer);
/** Take no more requests: what runs is finished, what waits is answered with SQUALL_E_TIMEOUT. When
 * it returns everything was answered. */
void sq_infer_stop(sq_infer *infer);
/** Be what the configuration says: engines that are new or described otherwise are opened, others
 * stay, those that are gone go when nobody runs them any more. */
void sq_infer_follow(sq_infer *infer, const sq_config *config);

/** Open the file of `name` anew; requests go on with the old one until that is done.
 * @return SQUALL_OK; SQUALL_E_NO_DATA when there is no such engine; what squall_engine_open()
 * gives: then what was there stays. */
SQUALL_MUST_USE squall_status sq_infer_load(sq_infer *infer, const char *name, squall_error *err);
/** Take it out of service until it is loaded again. @return SQUALL_OK; SQUALL_E_NO_DATA. */
SQUALL_MUST_USE squall_status sq_infer_unload(sq_infer *infer, const char *name, squall_error *err);

/** NULL when there is none of that name; given (sq_infer_drop). */
sq_infer_model *sq_infer_find(sq_infer *infer, const char *name);
void sq_infer_drop(sq_infer_model **model);
bool sq_infer_is_ready(sq_infer_model *model);
/** Whether all are that were not unloaded. */
bool sq_infer_all_ready(sq_infer *infer);

/**
 * How a request ended; called once for each that was taken, on a thread of the room.
 *
 * @param reply  given (sq_free of its bytes) with SQUALL_OK; else NULL
 * @param err    borrowed; filled otherwise
 */
typedef void sq_infer_done(void *owner, squall_status status, const sq_infer_reply *reply,
                           const squall_error *err);

/**
 * Put a request in the queue of its model. Requests of equal types that wait there are run as one
 * batch where the engine takes it; see the keys of [engine].
 *
 * @param request  borrowed until `done` was called
 * @param read_s   time that reading it took, for the statistics
 * @return SQUALL_OK: `done` will be called; otherwise it is not: SQUALL_E_NO_DATA (not ready);
 *         SQUALL_E_ARGUMENT (an input that is missing, unknown or of another type); SQUALL_E_SHAPE;
 *         SQUALL_E_UNSUPPORTED; SQUALL_E_LIMIT: the queue is full; SQUALL_E_TIMEOUT: it stops;
 *         SQUALL_E_MEMORY.
 */
SQUALL_MUST_USE squall_status sq_infer_submit(sq_infer *infer, sq_infer_model *model,
                                              const sq_infer_request *request, double read_s,
                                              sq_infer_done *done, void *owner, squall_error *err);
/** Note a request that came to nothing. */
void sq_infer_note_failure(sq_infer *infer, sq_infer_model *model, double seconds);
/** Set those metrics that are states to what they are now. */
void sq_infer_update_metrics(sq_infer *infer);

/* What they are, as the protocol has it. */
void sq_infer_write_metadata(sq_infer_model *model, sq_json *json);
void sq_infer_write_config(sq_infer_model *model, sq_json *json);
void sq_infer_write_index(sq_infer *infer, bool ready_only, sq_json *json);
/** Of one model, or with NULL of all: {"model_stats": [...]}. */
void sq_infer_write_stats(sq_infer *infer, sq_infer_model *model, sq_json *json);

#endif /* SQ_SVC_INFER_INFER_H */
