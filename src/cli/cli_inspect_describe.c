/* cli/cli_inspect_describe.c - an engine's file as a document: header, sections, profiles, layers
 * with all tactics that were weighed, memory map, certificate, recipe. */
#include <inttypes.h>
#include <string.h>

#include "cli/cli_inspect.h"
#include "nn/plan/plan.h"
#include "squall/sign.h"

static json_t *hash_json(const unsigned char *hash)
{
    char text[SQ_HASH_TEXT];
    return json_string(sq_hash_format(hash, text));
}

static const char *backend_name(uint32_t backend)
{
    static const char *const names[] = {"view", "ref", "cpu", "cuda"};
    return backend < sizeof names / sizeof names[0] ? names[backend] : "unknown";
}

static const char *layout_name(squall_layout layout)
{
    return layout == SQUALL_C16 ? "c16" : layout == SQUALL_C8 ? "c8" : "plain";
}

static json_t *dims_json(const squall_tensor *type)
{
    json_t *dims = json_array();
    for (uint32_t i = 0; i < type->rank; i++) {
        json_array_append_new(dims, json_integer(type->dims[i]));
    }
    return dims;
}

static json_t *value_json(const sq_plan *plan, uint32_t v)
{
    const sq_plan_value *value = &plan->values[v];
    static const char *const homes[] = {"none",  "arena",  "weights",
                                        "input", "output", "replaced by packing"};
    json_t *made = json_object();
    json_object_set_new(made, "name", cli_text(value->name));
    json_object_set_new(made, "type", json_string(squall_dtype_name(value->type.dtype)));
    json_object_set_new(made, "shape", dims_json(&value->type));
    json_object_set_new(made, "layout", json_string(layout_name(value->type.layout)));
    json_object_set_new(made, "home",
                        json_string((size_t)value->home < sizeof homes / sizeof homes[0]
                                        ? homes[value->home]
                                        : ""));
    return made;
}

static json_t *port_json(const sq_engine_file *file, const sq_plan *plan, uint32_t profile,
                         bool input, uint32_t index)
{
    const uint32_t v = input ? plan->inputs[index] : plan->outputs[index];
    json_t *made = value_json(plan, v);
    json_object_del(made, "home");
    json_object_del(made, "layout");
    if (input) {
        const sq_batch_range range = sq_engine_range(file, profile, index);
        const squall_tensor *type = &plan->values[v].type;
        const int64_t own = type->rank > 0 ? type->dims[0] : 1;
        json_object_set_new(made, "batches",
                            json_pack("[I, I]", (json_int_t)(range.max > 0 ? range.min : own),
                                      (json_int_t)(range.max > 0 ? range.max : own)));
    }
    return made;
}

static json_t *seconds_json(double seconds)
{
    return seconds > 0 ? cli_real(seconds) : json_null();
}

static json_t *candidates_json(const sq_plan_step *step)
{
    json_t *list = json_array();
    for (uint32_t c = 0; c < step->candidate_count; c++) {
        const sq_plan_candidate *candidate = &step->candidates[c];
        const bool chosen =
            candidate->backend == step->backend && strcmp(candidate->tactic, step->tactic) == 0;
        json_t *made = json_object();
        json_object_set_new(made, "backend", json_string(backend_name(candidate->backend)));
        json_object_set_new(made, "tactic", cli_text(candidate->tactic));
        json_object_set_new(made, "chosen", json_boolean(chosen));
        json_object_set_new(made, "guess_s", seconds_json(candidate->cost_s));
        json_object_set_new(made, "reorders_s", seconds_json(candidate->extra_s));
        json_object_set_new(made, "median_s", seconds_json(candidate->median_s));
        json_object_set_new(made, "spread_s", seconds_json(candidate->spread_s));
        json_array_append_new(list, made);
    }
    return list;
}

static json_t *values_json(const sq_plan *plan, const uint32_t *numbers, uint32_t count)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++) {
        if (plan->values[numbers[i]].home != SQ_HOME_NONE) {
            json_array_append_new(list, value_json(plan, numbers[i]));
        }
    }
    return list;
}

static json_t *layers_json(const sq_engine_file *file, const sq_plan *plan)
{
    json_t *list = json_array();
    for (uint32_t s = 0; s < plan->step_count; s++) {
        const sq_plan_step *step = &plan->steps[s];
        squall_tensor in[SQ_MAX_INPUTS], out[SQ_MAX_OUTPUTS];
        sq_step view;
        sq_plan_view_step(plan, step, file->weights, SQ_LIMIT_SHAPE_BYTES, in, out, &view);
        json_t *made = json_object();
        json_object_set_new(made, "name", cli_text(step->name));
        json_object_set_new(made, "op", json_string(sq_op_name(step->op)));
        json_object_set_new(made, "backend", json_string(backend_name(step->backend)));
        json_object_set_new(made, "tactic", cli_text(step->tactic));
        json_object_set_new(made, "macs", json_integer((json_int_t)sq_op_macs(&view)));
        json_object_set_new(made, "packed_bytes", json_integer((json_int_t)step->packed_bytes));
        json_object_set_new(made, "in_place", json_boolean(step->in_place >= 0));
        json_object_set_new(made, "inputs", values_json(plan, step->in, step->in_count));
        json_object_set_new(made, "outputs", values_json(plan, step->out, step->out_count));
        json_object_set_new(made, "why",
                            step->why != NULL && step->why[0] != '\0' ? cli_text(step->why)
                                                                      : json_null());
        json_object_set_new(made, "candidates", candidates_json(step));
        json_array_append_new(list, made);
    }
    return list;
}

static squall_status memory_json(const sq_plan *plan, json_t *list, squall_error *err)
{
    sq_plan_span *spans = NULL;
    uint32_t count;
    SQ_TRY(sq_plan_map(plan, &spans, &count, err));
    for (uint32_t i = 0; i < count; i++) {
        json_t *made = json_object();
        json_object_set_new(made, "name", cli_text(plan->values[spans[i].value].name));
        json_object_set_new(made, "offset", json_integer((json_int_t)spans[i].offset));
        json_object_set_new(made, "bytes", json_integer((json_int_t)spans[i].bytes));
        json_object_set_new(made, "first", json_integer(spans[i].first));
        json_object_set_new(made, "last", json_integer(spans[i].last));
        json_array_append_new(list, made);
    }
    sq_free(spans);
    return SQUALL_OK;
}

static squall_status profile_json(const sq_engine_file *file, const sq_plan *plan, uint32_t profile,
                                  const char *backend, json_t *out, squall_error *err)
{
    json_t *inputs = json_array(), *outputs = json_array(), *memory = json_array();
    for (uint32_t i = 0; i < plan->input_count; i++) {
        json_array_append_new(inputs, port_json(file, plan, profile, true, i));
    }
    for (uint32_t i = 0; i < plan->output_count; i++) {
        json_array_append_new(outputs, port_json(file, plan, profile, false, i));
    }
    json_object_set_new(out, "inputs", inputs);
    json_object_set_new(out, "outputs", outputs);
    json_object_set_new(out, "backend", json_string(backend));
    json_object_set_new(out, "steps", json_integer(plan->step_count));
    json_object_set_new(out, "macs", json_integer((json_int_t)plan->macs));
    json_object_set_new(out, "arena_bytes", json_integer((json_int_t)plan->arena_bytes));
    json_object_set_new(out, "arena_bound_bytes",
                        json_integer((json_int_t)plan->arena_bound_bytes));
    json_object_set_new(out, "scratch_bytes", json_integer((json_int_t)plan->scratch_bytes));
    json_object_set_new(out, "layers", layers_json(file, plan));
    json_object_set_new(out, "memory", memory);
    return memory_json(plan, memory, err);
}

/* The table of sections; who signed is beside it. */
static squall_status sections_json(const sq_mapping *mapping, const char *path, json_t *out,
                                   squall_error *err)
{
    sq_section_info sections[SQ_ENGINE_SECTIONS];
    uint32_t count;
    json_t *list = json_array();
    json_object_set_new(out, "sections", list);
    json_object_set_new(out, "signed_by", json_null());
    SQ_TRY(sq_engine_sections(mapping->data, mapping->size, path, sections, &count, err));
    for (uint32_t i = 0; i < count; i++) {
        const sq_section_info *part = &sections[i];
        const bool signature = strcmp(part->name, "signature") == 0;
        json_t *made = json_object();
        json_object_set_new(made, "id", json_integer(part->id));
        json_object_set_new(made, "name", json_string(part->name));
        json_object_set_new(made, "offset", json_integer((json_int_t)part->offset));
        json_object_set_new(made, "bytes", json_integer((json_int_t)part->bytes));
        json_object_set_new(made, "sha256", signature ? json_null() : hash_json(part->hash));
        json_array_append_new(list, made);
        if (signature) {
            json_object_set_new(out, "signed_by", hash_json(part->hash));
        }
    }
    return SQUALL_OK;
}

static squall_status describe(const char *path, const sq_mapping *mapping, squall_engine *engine,
                              bool portable, json_t *out, squall_error *err)
{
    static const char *const keys[] = {"model", "model_sha256", "squall_version",
                                       "isa",   "compiler",     "command"};
    sq_engine_file file;
    json_object_set_new(out, "file", cli_text(path));
    json_object_set_new(out, "bytes", json_integer((json_int_t)mapping->size));
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        json_object_set_new(out, keys[i], cli_text(squall_engine_text(engine, keys[i])));
    }
    SQ_TRY(sections_json(mapping, path, out, err));
    SQ_TRY(sq_engine_read(mapping->data, mapping->size, path, &file, err));
    json_t *profiles = json_array();
    json_object_set_new(out, "threads", json_integer(file.threads));
    json_object_set_new(out, "weight_bytes", json_integer((json_int_t)file.weight_bytes));
    json_object_set_new(out, "profiles", profiles);
    squall_status status = SQUALL_OK;
    /* The device plan is shown even where it cannot run: notes say so. */
    const sq_plan *plans = file.device != NULL && !portable ? file.device : file.portable;
    json_object_set_new(out, "plan", json_string(plans == file.device ? "device" : "portable"));
    for (uint32_t p = 0; p < file.profile_count && status == SQUALL_OK; p++) {
        squall_profile_info info;
        json_t *profile = json_object();
        json_array_append_new(profiles, profile);
        status = squall_engine_profile(engine, p, &info, err);
        if (status == SQUALL_OK) {
            status = profile_json(&file, &plans[p], p, info.backend, profile, err);
        }
    }
    sq_engine_free(&file);
    const char *certificate = squall_engine_certificate(engine);
    json_t *certified = certificate != NULL ? json_loads(certificate, 0, NULL) : NULL;
    json_object_set_new(out, "certificate", certified != NULL ? certified : cli_text(certificate));
    const char *recipe = squall_engine_recipe(engine);
    json_t *parsed = recipe != NULL ? json_loads(recipe, 0, NULL) : NULL;
    json_object_set_new(out, "recipe", parsed != NULL ? parsed : cli_text(recipe));
    return status;
}

squall_status cli_inspect_describe(const char *path, const cli_engine *how, json_t **out,
                                   squall_notes *notes, squall_error *err)
{
    squall_engine *engine = NULL;
    sq_mapping mapping = {NULL, 0};
    json_t *document = json_object();
    squall_status status = cli_engine_open(how, path, &engine, notes, err);
    if (status == SQUALL_OK) {
        status = sq_file_map(path, SQ_LIMIT_FILE_BYTES, &mapping, err);
    }
    if (status == SQUALL_OK) {
        status = describe(path, &mapping, engine, how->portable, document, err);
    }
    sq_file_unmap(&mapping);
    squall_engine_close(&engine);
    if (status != SQUALL_OK) {
        json_decref(document);
        return status;
    }
    *out = document;
    return SQUALL_OK;
}
