/* squall/engine.h - run a compiled network.
 *
 * Threads: an engine is read-only once it is open, and any number of threads may make contexts of
 * it and ask what it is; a context runs for one thread at a time. Ownership: an engine is the
 * caller's until squall_engine_close(), a context until squall_context_destroy(), contexts first;
 * names and texts that they hand out are borrowed from them and end with them.
 */
#ifndef SQUALL_ENGINE_H
#define SQUALL_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "squall/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A compiled network: read-only, mapped from its file, shared by any number of contexts. */
typedef struct squall_engine squall_engine;

/** What one caller needs to run it: one arena of memory, planned when the engine was built. */
typedef struct squall_context squall_context;

typedef struct squall_engine_options {
    uint32_t struct_size;
    int32_t
        portable; /**< not 0: use the portable plan (plain C), not this host's kernels; default 0 */
    int32_t native; /**< not 0: refuse an engine whose device plan does not fit this host, where
                         otherwise the portable one would be used; default 0 */
    const char *trusted_keys; /**< borrowed; file of public keys (squall/sign.h): an engine that
                                 none of them signed is refused before anything in it is used; NULL:
                                   anybody's engine will do */
    int32_t trust_kernels; /**< not 0: run the machine code for a GPU that an engine brings although
                                it was not built here and is not signed by a trusted key */
} squall_engine_options;
SQUALL_API void squall_engine_options_init(squall_engine_options *options);

/**
 * Open an engine file. Everything in it is checked before it is used: hashes, sizes, offsets,
 * shapes, and the memory it asks for.
 *
 * When its device section was built for another kind of host the portable plan is used and `notes`
 * says why and what to run.
 * @return SQUALL_OK; SQUALL_E_IO; SQUALL_E_FORMAT (not an engine); SQUALL_E_TRUNCATED;
 *         SQUALL_E_VERSION; SQUALL_E_SIGNATURE; SQUALL_E_MISMATCH (for another device, with
 *         `native`); SQUALL_E_CORRUPT; SQUALL_E_LIMIT; SQUALL_E_MEMORY.
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_engine_open(const char *path,
                                                            const squall_engine_options *options,
                                                            squall_engine **out,
                                                            squall_notes *notes, squall_error *err);
/** The same for bytes in memory: borrowed until the close, 64-byte aligned. */
SQUALL_MUST_USE SQUALL_API squall_status squall_engine_open_memory(
    const void *bytes, size_t size, const char *name, const squall_engine_options *options,
    squall_engine **out, squall_notes *notes, squall_error *err);
/** Contexts must be destroyed first. */
SQUALL_API void squall_engine_close(squall_engine **engine);

/** A profile is one set of input shapes that the engine was planned for. */
typedef struct squall_profile_info {
    size_t arena_bytes;       /**< activations, planned */
    size_t arena_bound_bytes; /**< what no plan could go below */
    uint64_t macs;            /**< multiply-accumulates of one run */
    uint32_t step_count;
    const char *backend; /**< "cpu avx512", "ref"; of most steps */
} squall_profile_info;

SQUALL_API size_t squall_engine_profile_count(const squall_engine *engine);
SQUALL_MUST_USE SQUALL_API squall_status squall_engine_profile(const squall_engine *engine,
                                                               size_t profile,
                                                               squall_profile_info *out,
                                                               squall_error *err);
/** One step of a profile's plan. */
typedef struct squall_step_info {
    const char *name, *op; /**< borrowed from the engine: the layer's name, "Conv" */
    const char *backend;   /**< "cpu", "ref", ...; "view" where nothing runs: its output is its
                                input under another shape */
    const char *tactic;    /**< borrowed from the engine; "" for a view */
    squall_tensor output;  /**< type of its first output; `data` is NULL */
} squall_step_info;
/** Step `index` of those that squall_profile_info counts, in the order in which they run. */
SQUALL_MUST_USE SQUALL_API squall_status squall_engine_step(const squall_engine *engine,
                                                            size_t profile, size_t index,
                                                            squall_step_info *out,
                                                            squall_error *err);

SQUALL_API size_t squall_engine_input_count(const squall_engine *engine);
SQUALL_API size_t squall_engine_output_count(const squall_engine *engine);
/** Name and type of an input or output under a profile; the name is borrowed, `data` is NULL. */
SQUALL_MUST_USE SQUALL_API squall_status squall_engine_input(const squall_engine *engine,
                                                             size_t profile, size_t index,
                                                             const char **name, squall_tensor *type,
                                                             squall_error *err);
SQUALL_MUST_USE SQUALL_API squall_status squall_engine_output(const squall_engine *engine,
                                                              size_t profile, size_t index,
                                                              const char **name,
                                                              squall_tensor *type,
                                                              squall_error *err);

/** The sizes of dimension 0 (the batch) of an input that a profile takes, both included; equal when
 * it takes its own alone. Memory is planned anew for a batch that is not the profile's own. */
SQUALL_MUST_USE SQUALL_API squall_status squall_engine_batches(const squall_engine *engine,
                                                               size_t profile, size_t input,
                                                               int64_t *min, int64_t *max,
                                                               squall_error *err);

/**
 * The profile that takes inputs of these types: one that was planned for just them, else one whose
 * batches hold theirs.
 *
 * @param inputs  borrowed; [input_count], types alone
 * @return SQUALL_OK; SQUALL_E_SHAPE with what each profile takes in words; SQUALL_E_ARGUMENT for a
 *         wrong number of inputs.
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_engine_find_profile(const squall_engine *engine,
                                                                    const squall_tensor *inputs,
                                                                    size_t input_count, size_t *out,
                                                                    squall_error *err);

/** The feature recipe (JSON) that travels in it, or NULL; borrowed. */
SQUALL_API const char *squall_engine_recipe(const squall_engine *engine);
/** How its numbers of 8 bits were calibrated (JSON), or NULL; borrowed. */
SQUALL_API const char *squall_engine_certificate(const squall_engine *engine);
/** What is known of it: "model", "model_sha256", "squall_version", "isa", "command" (the build as a
 * command), "compiler"; NULL for another key, or what is not known. */
SQUALL_API const char *squall_engine_text(const squall_engine *engine, const char *key);

/**
 * Make a context for one profile. The weights that it uses are held against their hashes by its
 * first run, or by squall_context_check(), once an engine.
 * @param threads  0: one for each processor
 * @return SQUALL_OK; SQUALL_E_ARGUMENT; SQUALL_E_CORRUPT; SQUALL_E_LIMIT; SQUALL_E_MEMORY.
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_context_create(squall_engine *engine,
                                                               size_t profile, int32_t threads,
                                                               squall_context **out,
                                                               squall_error *err);
/**
 * The same for inputs of these types, by squall_engine_find_profile(): any batch within a profile's
 * range.
 *
 * @param inputs  borrowed; [input_count], types alone
 */
SQUALL_MUST_USE SQUALL_API squall_status
squall_context_create_for(squall_engine *engine, const squall_tensor *inputs, size_t input_count,
                          int32_t threads, squall_context **out, squall_error *err);
SQUALL_API void squall_context_destroy(squall_context **context);

/**
 * Hold the weights that this context uses against their hashes now, which its first run would do:
 * for who wants to know of a broken file before there is work, and an even first run.
 *
 * @return SQUALL_OK; SQUALL_E_CORRUPT, and then no run will begin.
 * @since 0.1
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_context_check(squall_context *context,
                                                              squall_error *err);

/** Type of an input or output that this context takes or gives; `data` is NULL. SQUALL_E_ARGUMENT.
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_context_input(const squall_context *context,
                                                              size_t index, squall_tensor *type,
                                                              squall_error *err);
SQUALL_MUST_USE SQUALL_API squall_status squall_context_output(const squall_context *context,
                                                               size_t index, squall_tensor *type,
                                                               squall_error *err);
/** What a context holds and does: that of its profile, at its own batch. */
SQUALL_API void squall_context_info(const squall_context *context, squall_profile_info *out);

/**
 * Run the network once.
 *
 * @param inputs   borrowed; one plain tensor for each input, of the profile's type and shape
 * @param outputs  borrowed; one for each output; `data` is the caller's and is filled; its memory
 *                 may not overlap that of an input or another output
 * Threads: one call at a time a context. No allocation, no lock, no log. The same bits for every
 * thread count.
 * @return SQUALL_OK; SQUALL_E_SHAPE naming the tensor that does not fit; SQUALL_E_ARGUMENT for a
 *         wrong number of them, or for data that is NULL, overlaps or is not aligned to its
 * elements.
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_context_run(squall_context *context,
                                                            const squall_tensor *inputs,
                                                            size_t input_count,
                                                            const squall_tensor *outputs,
                                                            size_t output_count, squall_error *err);

/** One step's share of the time, when profiling. */
typedef struct squall_step_time {
    const char *name, *op, *tactic; /**< borrowed from the context */
    double seconds;                 /**< of the last profiled run */
    uint64_t macs;
    size_t bytes; /**< read and written */
} squall_step_time;
/** Run once and note each step's time; `*steps` is borrowed until the next run. */
SQUALL_MUST_USE SQUALL_API squall_status
squall_context_profile(squall_context *context, const squall_tensor *inputs, size_t input_count,
                       const squall_tensor *outputs, size_t output_count,
                       const squall_step_time **steps, size_t *step_count, squall_error *err);

/** Seconds that the last run took on its GPU, without the caller's tensors on their way there and
 * back; 0 for a context that runs on the processor, or before its first run. */
SQUALL_API double squall_context_device_s(const squall_context *context);

#ifdef __cplusplus
}
#endif
#endif /* SQUALL_ENGINE_H */
