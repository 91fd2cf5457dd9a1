/* nn/runtime/runtime_engine.c - engines: opened, checked, asked what they are. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nn/cuda/cuda.h"
#include "nn/runtime/runtime.h"

void squall_engine_options_init(squall_engine_options *options)
{
    memset(options, 0, sizeof *options);
    options->struct_size = (uint32_t)sizeof *options;
}

/* Take over the members that the caller's version of the struct has. */
static squall_status read_options(const squall_engine_options *given, squall_engine_options *out,
                                  squall_error *err)
{
    squall_engine_options_init(out);
    if (given == NULL) {
        return SQUALL_OK;
    }
    if (given->struct_size < sizeof given->struct_size) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "squall_engine_options",
                       "was not set up by squall_engine_options_init()");
    }
    memcpy(out, given, given->struct_size < sizeof *out ? given->struct_size : sizeof *out);
    return SQUALL_OK;
}

/* Every step of every profile must have its tactic on this host, and all of them its memory. */
static squall_status try_plans(const sq_engine_file *file, const sq_plan *plans, bool on_device,
                               squall_error *err)
{
    squall_tensor in[SQ_MAX_INPUTS], out[SQ_MAX_OUTPUTS];
    sq_tactic tactic;
    sq_step step;
    for (uint32_t p = 0; p < file->profile_count; p++) {
        for (uint32_t s = 0; s < plans[p].step_count; s++) {
            if (sq_runtime_needed(&plans[p], &plans[p].steps[s])) {
                const sq_backend *backend = sq_runtime_backend(plans[p].steps[s].backend);
                if (backend != NULL && (backend->device != NULL) != on_device) {
                    return sq_fail(err, SQUALL_E_MISMATCH, plans[p].steps[s].name,
                                   "step %" PRIu32 " runs on %s, the others elsewhere", s,
                                   backend->name);
                }
                SQ_TRY(sq_runtime_restore(file, &plans[p], s, 1, in, out, &step, &tactic, err));
            }
        }
    }
    return SQUALL_OK;
}

/* Whether the plan for a GPU can be used here: a GPU of that kind, and kernels that are trusted. */
static squall_status try_gpu(const sq_engine_file *file, const squall_engine_options *options,
                             squall_error *err)
{
    sq_cuda_info info;
    int count = 0;
    SQ_TRY(sq_cuda_find(0, &info, &count, err));
    for (int i = 0; i < count; i++) {
        SQ_TRY(sq_cuda_find(i, &info, NULL, err));
        if (!sq_cuda_fits(file->isa, info.capability)) {
            continue;
        }
        /* Signed by a trusted key: that has been found before anything else was read. */
        if (options->trust_kernels == 0 && options->trusted_keys == NULL &&
            !sq_runtime_kernels_trusted(file->kernels, file->kernel_bytes)) {
            return sq_fail(err, SQUALL_E_MISMATCH, file->name,
                           "brings machine code that was not built here; build it on this machine, "
                           "or have it signed and name the keys that are trusted");
        }
        return try_plans(file, file->device, true, err);
    }
    return sq_fail(err, SQUALL_E_MISMATCH, file->name, "this host has a %s (sm_%d)", info.name,
                   info.capability);
}

/* The device plan if this host can run it; else the portable one, and a note that says why. */
static squall_status choose_plans(squall_engine *engine, const squall_engine_options *options,
                                  squall_notes *notes, squall_error *err)
{
    const sq_engine_file *file = &engine->file;
    static const char *const remedy = "using the portable plan; run squall build again here";
    sq_isa isa;
    if (options->native && (file->device == NULL || options->portable)) {
        return sq_fail(err, SQUALL_E_MISMATCH, file->name,
                       "has %s, and a plan for this host (%s) was insisted on; run squall build "
                       "again here",
                       file->device == NULL ? "the portable plan alone" : "to run portably",
                       sq_isa_name(sq_cpu_isa()));
    }
    if (file->device != NULL && !options->portable && strncmp(file->isa, "sm_", 3) == 0) {
        squall_error why;
        if (try_gpu(file, options, &why) == SQUALL_OK) {
            engine->plans = file->device;
            engine->on_device = true;
            return SQUALL_OK;
        }
        if (options->native) {
            return sq_fail(err, SQUALL_E_MISMATCH, file->name, "built for a GPU (%s): %s",
                           file->isa, why.text);
        }
        sq_note(notes, file->name, "built for a GPU (%s): %s: %s", file->isa, why.text, remedy);
    } else if (file->device != NULL && !options->portable) {
        const bool fits = sq_isa_find(file->isa, &isa) && sq_cpu_can(isa);
        if (!fits && options->native) {
            return sq_fail(err, SQUALL_E_MISMATCH, file->name,
                           "built for %s, this host has %s; run squall build again here, or leave "
                           "it its portable plan",
                           file->isa, sq_isa_name(sq_cpu_isa()));
        }
        if (!fits) {
            sq_note(notes, file->name, "built for %s, this host has %s: %s", file->isa,
                    sq_isa_name(sq_cpu_isa()), remedy);
        } else {
            squall_error why;
            const squall_status status = try_plans(file, file->device, false, &why);
            if (status == SQUALL_OK) {
                engine->plans = file->device;
                return SQUALL_OK;
            }
            if (status != SQUALL_E_MISMATCH || options->native) {
                return sq_fail(err, status, why.where, "%s", why.text);
            }
            sq_note(notes, file->name, "its plan for %s does not fit this squall (%s: %s): %s",
                    file->isa, why.where, why.text, remedy);
        }
    }
    engine->plans = file->portable;
    const squall_status status = try_plans(file, file->portable, false, err);
    if (status != SQUALL_E_MISMATCH) {
        return status;
    }
    /* The portable plan of a format runs on any squall that reads the format. */
    if (err != NULL) {
        err->code = SQUALL_E_CORRUPT;
    }
    return SQUALL_E_CORRUPT;
}

/* "cpu avx512" or "ref": what most steps of a profile run on. */
static squall_status name_backends(squall_engine *engine, squall_error *err)
{
    const sq_engine_file *file = &engine->file;
    engine->backends = sq_alloc(file->profile_count, sizeof *engine->backends);
    if (engine->backends == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, file->name, "no memory for its profiles");
    }
    snprintf(engine->device_text, sizeof engine->device_text, "%s %s",
             engine->on_device ? "cuda" : "cpu", file->isa);
    for (uint32_t p = 0; p < file->profile_count; p++) {
        uint32_t cpu = 0, ref = 0;
        for (uint32_t s = 0; s < engine->plans[p].step_count; s++) {
            const uint32_t id = engine->plans[p].steps[s].backend;
            cpu += id == SQ_BACKEND_CPU || id == SQ_BACKEND_CUDA;
            ref += id == SQ_BACKEND_REF;
        }
        engine->backends[p] = cpu > 0 && cpu >= ref ? engine->device_text : "ref";
    }
    return SQUALL_OK;
}

static squall_status open_bytes(squall_engine *engine, const unsigned char *bytes, size_t size,
                                const char *name, const squall_engine_options *given,
                                squall_notes *notes, squall_error *err)
{
    squall_engine_options options;
    SQ_TRY(read_options(given, &options, err));
    if (options.trusted_keys != NULL) {
        sq_keys keys;
        SQ_TRY(sq_keys_read(options.trusted_keys, &keys, err));
        const squall_status status = sq_engine_check_signature(bytes, size, name, &keys, NULL, err);
        sq_keys_free(&keys);
        SQ_TRY(status);
    }
    SQ_TRY(sq_engine_read(bytes, size, name, &engine->file, err));
    SQ_TRY(choose_plans(engine, &options, notes, err));
    SQ_TRY(name_backends(engine, err));
    sq_hash_format(engine->file.model_hash, engine->model_sha256);
    return SQUALL_OK;
}

squall_status squall_engine_open_memory(const void *bytes, size_t size, const char *name,
                                        const squall_engine_options *options, squall_engine **out,
                                        squall_notes *notes, squall_error *err)
{
    squall_engine *engine = sq_alloc(1, sizeof *engine);
    if (engine == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, name, "no memory for the engine");
    }
    const squall_status status = open_bytes(engine, bytes, size, name, options, notes, err);
    if (status != SQUALL_OK) {
        squall_engine_close(&engine);
        return status;
    }
    *out = engine;
    return SQUALL_OK;
}

squall_status squall_engine_open(const char *path, const squall_engine_options *options,
                                 squall_engine **out, squall_notes *notes, squall_error *err)
{
    squall_engine *engine = sq_alloc(1, sizeof *engine);
    if (engine == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, path, "no memory for the engine");
    }
    squall_status status = sq_file_map(path, SQ_LIMIT_FILE_BYTES, &engine->mapping, err);
    if (status == SQUALL_OK) {
        status = open_bytes(engine, engine->mapping.data, engine->mapping.size, path, options,
                            notes, err);
    }
    if (status != SQUALL_OK) {
        squall_engine_close(&engine);
        return status;
    }
    *out = engine;
    return SQUALL_OK;
}

void squall_engine_close(squall_engine **engine)
{
    if (engine == NULL || *engine == NULL) {
        return;
    }
    sq_engine_free(&(*engine)->file);
    sq_file_unmap(&(*engine)->mapping);
    sq_free((*engine)->backends);
    sq_free(*engine);
    *engine = NULL;
}

size_t squall_engine_profile_count(const squall_engine *engine)
{
    return engine->file.profile_count;
}

/* The plan of a profile, or NULL with words. */
static const sq_plan *find_profile(const squall_engine *engine, size_t profile, squall_error *err)
{
    if (profile >= engine->file.profile_count) {
        (void)sq_fail(err, SQUALL_E_ARGUMENT, engine->file.name,
                      "has no profile %zu; it has %" PRIu32 ", counted from 0", profile,
                      engine->file.profile_count);
        return NULL;
    }
    return &engine->plans[profile];
}

squall_status squall_engine_profile(const squall_engine *engine, size_t profile,
                                    squall_profile_info *out, squall_error *err)
{
    const sq_plan *plan = find_profile(engine, profile, err);
    if (plan == NULL) {
        return SQUALL_E_ARGUMENT;
    }
    *out = (squall_profile_info){.arena_bytes = plan->arena_bytes,
                                 .arena_bound_bytes = plan->arena_bound_bytes,
                                 .macs = plan->macs,
                                 .step_count = plan->step_count,
                                 .backend = engine->backends[profile]};
    return SQUALL_OK;
}

size_t squall_engine_input_count(const squall_engine *engine)
{
    return engine->plans[0].input_count;
}

size_t squall_engine_output_count(const squall_engine *engine)
{
    return engine->plans[0].output_count;
}

/* Name and type of one of the caller's tensors. */
static squall_status get_port(const squall_engine *engine, size_t profile, bool input, size_t index,
                              const char **name, squall_tensor *type, squall_error *err)
{
    const sq_plan *plan = find_profile(engine, profile, err);
    if (plan == NULL) {
        return SQUALL_E_ARGUMENT;
    }
    const uint32_t count = input ? plan->input_count : plan->output_count;
    if (index >= count) {
        return sq_fail(err, SQUALL_E_ARGUMENT, engine->file.name,
                       "has no %s %zu; it has %" PRIu32 ", counted from 0",
                       input ? "input" : "output", index, count);
    }
    const sq_plan_value *value = &plan->values[input ? plan->inputs[index] : plan->outputs[index]];
    if (name != NULL) {
        *name = value->name;
    }
    if (type != NULL) {
        *type = value->type;
    }
    return SQUALL_OK;
}

squall_status squall_engine_input(const squall_engine *engine, size_t profile, size_t index,
                                  const char **name, squall_tensor *type, squall_error *err)
{
    return get_port(engine, profile, true, index, name, type, err);
}

squall_status squall_engine_output(const squall_engine *engine, size_t profile, size_t index,
                                   const char **name, squall_tensor *type, squall_error *err)
{
    return get_port(engine, profile, false, index, name, type, err);
}

const char *squall_engine_certificate(const squall_engine *engine)
{
    return engine->file.certificate;
}

const char *squall_engine_recipe(const squall_engine *engine)
{
    return engine->file.recipe;
}

const char *squall_engine_text(const squall_engine *engine, const char *key)
{
    const struct {
        const char *key, *text;
    } texts[] = {{"model", engine->file.model_name},
                 {"model_sha256", engine->model_sha256},
                 {"squall_version", engine->file.squall_version},
                 {"isa", engine->file.isa},
                 {"command", engine->file.command},
                 {"compiler", engine->file.compiler}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (strcmp(texts[i].key, key) == 0) {
            return texts[i].text;
        }
    }
    return NULL;
}
