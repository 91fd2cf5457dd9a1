/* nn/compile/compile_reduce_fails.c - whether a model fails: by a test of the caller's, by what its
 * compilation says, or by how far its engine is from the reference kernels. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "nn/compile/compile_compare.h"
#include "nn/compile/compile_reduce.h"

static squall_status read_options(const sq_failing *how, squall_build_options *out,
                                  squall_error *err)
{
    squall_build_options want;
    squall_build_options_init(&want);
    want.device = how->options->device;
    want.threads = how->options->threads;
    want.shapes = how->options->shapes;
    return sq_compile_read_options(&want, out, err);
}

/* Shapes for those inputs that the graph still has, and whose sizes it leaves open; given. */
static squall_input_shape *shapes_for(const sq_failing *how, const sq_graph *graph, size_t *count)
{
    squall_input_shape *shapes = sq_alloc(how->options->shape_count, sizeof *shapes);
    *count = 0;
    for (size_t i = 0; shapes != NULL && i < how->options->shape_count; i++) {
        const char *name = how->options->shapes[i].name;
        for (uint32_t k = 0; k < graph->input_count; k++) {
            const sq_value *value = &graph->values[graph->inputs[k]];
            bool open = false;
            for (uint32_t d = 0; d < value->type.rank; d++) {
                open = open || value->type.dims[d] < 0;
            }
            if (open && (name == NULL || strcmp(name, value->name) == 0)) {
                shapes[(*count)++] = how->options->shapes[i];
                break;
            }
        }
    }
    return shapes;
}

/* ------------------------------------------------------------ by what compilation says */

static bool says(const squall_error *problem, const squall_notes *notes, const char *message)
{
    char whole[sizeof problem->where + sizeof problem->text + 64];
    snprintf(whole, sizeof whole, "%s: %s (%s)", problem->where, problem->text,
             squall_status_name(problem->code));
    bool found = strstr(whole, message) != NULL;
    for (size_t i = 0; i < squall_notes_count(notes); i++) {
        found = found || strstr(squall_notes_get(notes, i), message) != NULL;
    }
    return found;
}

static squall_status compile(const sq_failing *how, const unsigned char *bytes, size_t size,
                             squall_notes *notes, squall_error *err)
{
    sq_graph *graph = NULL;
    squall_build_options want;
    squall_build_report report = {0};
    const unsigned char hash[SQ_HASH_BYTES] = {0};
    unsigned char *engine = NULL;
    size_t engine_size = 0;
    SQ_TRY(read_options(how, &want, err));
    SQ_TRY(sq_onnx_read_memory(bytes, size, "the model", &graph, notes, err));
    squall_input_shape *shapes = shapes_for(how, graph, &want.shape_count);
    want.shapes = shapes;
    const squall_status status =
        shapes == NULL ? sq_fail(err, SQUALL_E_MEMORY, "the model", "no memory for its shapes")
                       : sq_compile_graph(graph, &want, true, hash, &engine, &engine_size, &report,
                                          notes, err);
    sq_free(engine);
    sq_free(shapes);
    sq_graph_destroy(&graph);
    return status;
}

static squall_status fails_to_compile(sq_failing *how, const unsigned char *bytes, size_t size,
                                      bool *fails, squall_error *err)
{
    squall_error problem = {.code = SQUALL_OK};
    squall_notes *notes = squall_notes_create();
    const squall_status status = compile(how, bytes, size, notes, &problem);
    *fails = status != SQUALL_OK && says(&problem, notes, how->options->message);
    if (status == SQUALL_OK) {
        snprintf(how->said, sizeof how->said, "it is compiled");
    } else {
        snprintf(how->said, sizeof how->said, "%.60s: %.190s", problem.where, problem.text);
    }
    squall_notes_destroy(&notes);
    return status == SQUALL_E_MEMORY ? sq_fail(err, status, problem.where, "%s", problem.text)
                                     : SQUALL_OK;
}

/* ------------------------------------------------------------ by the numbers */

typedef struct wish {
    const char *tactic;
    uint32_t taken;
} wish;

/* The first tactic whose name has a text in it, else by cost. */
static squall_status choose_wished(void *self, const sq_step *step, sq_candidate *candidates,
                                   uint32_t count, uint32_t *chosen, squall_error *err)
{
    wish *wanted = self;
    for (uint32_t i = 0; wanted->tactic != NULL && i < count; i++) {
        if (strstr(candidates[i].tactic.name, wanted->tactic) != NULL) {
            *chosen = i;
            wanted->taken++;
            return SQUALL_OK;
        }
    }
    return sq_choose_by_cost(NULL, step, candidates, count, chosen, err);
}

static squall_status compare_once(const sq_failing *how, squall_comparison *comparison,
                                  const squall_engine *engine, squall_error *err)
{
    squall_status status = SQUALL_OK;
    const size_t count = squall_engine_input_count(engine);
    squall_tensor *inputs = sq_alloc(count, sizeof *inputs);
    for (size_t i = 0; inputs != NULL && i < count && status == SQUALL_OK; i++) {
        const char *name;
        status = squall_engine_input(engine, 0, i, &name, &inputs[i], err);
        if (status == SQUALL_OK && !sq_knowledge_fill(how->knowledge, name, &inputs[i])) {
            status = sq_fail(err, SQUALL_E_MEMORY, name, "no memory for its numbers");
        }
    }
    if (inputs == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, "the model", "no memory for its inputs");
    }
    if (status == SQUALL_OK) {
        status = squall_comparison_add(comparison, inputs, count, err);
    }
    for (size_t i = 0; inputs != NULL && i < count; i++) {
        sq_tensor_free(&inputs[i]);
    }
    sq_free(inputs);
    return status;
}

static double worst_output(const squall_comparison *comparison)
{
    squall_output_error one;
    squall_error err;
    double least = INFINITY;
    for (size_t i = 0;
         squall_comparison_output(comparison, SQUALL_COMPARED_ENGINE, i, &one, &err) == SQUALL_OK;
         i++) {
        least = one.psnr_db >= least ? least : one.psnr_db;
    }
    return least;
}

/* PSNR of the worst output, NaN being the worst of all; `*wished`: the tactic that was asked for is
 * taken. */
static squall_status measure(const sq_failing *how, const unsigned char *bytes, size_t size,
                             double *psnr_db, bool *wished, squall_error *err)
{
    squall_status status;
    sq_graph *graph = NULL, *copy = NULL;
    squall_build_options want;
    squall_build_report report = {0};
    const unsigned char hash[SQ_HASH_BYTES] = {0};
    unsigned char *made = NULL;
    size_t made_size = 0;
    squall_engine *engine = NULL;
    squall_comparison *comparison = NULL;
    wish wanted = {.tactic = how->options->tactic};
    SQ_TRY(read_options(how, &want, err));
    SQ_TRY_GOTO(sq_onnx_read_memory(bytes, size, "the model", &graph, NULL, err));
    const sq_compile_job job = {.graph = graph,
                                .options = &want,
                                .optimise = true,
                                .model_hash = hash,
                                .choose = choose_wished,
                                .chooser = &wanted,
                                .report = &report};
    SQ_TRY_GOTO(sq_compile_run(&job, &made, &made_size, err));
    SQ_TRY_GOTO(squall_engine_open_memory(made, made_size, "the engine", NULL, &engine, NULL, err));
    copy = graph;
    graph = NULL;
    SQ_TRY_GOTO(sq_compare_graph(copy, engine, want.threads, &comparison, err));
    SQ_TRY_GOTO(compare_once(how, comparison, engine, err));
    *psnr_db = worst_output(comparison);
    *wished = wanted.tactic == NULL || wanted.taken > 0;
done:
    squall_comparison_destroy(&comparison);
    squall_engine_close(&engine);
    sq_free(made);
    sq_graph_destroy(&graph);
    return status;
}

static squall_status is_far(sq_failing *how, const unsigned char *bytes, size_t size, bool *fails,
                            squall_error *err)
{
    squall_error problem = {.code = SQUALL_OK};
    double psnr_db = NAN;
    bool wished = false;
    const squall_status status = measure(how, bytes, size, &psnr_db, &wished, &problem);
    if (status == SQUALL_E_MEMORY) {
        return sq_fail(err, status, problem.where, "%s", problem.text);
    }
    if (status != SQUALL_OK) { /* a part that is no network is none that fails */
        snprintf(how->said, sizeof how->said, "%.60s: %.190s", problem.where, problem.text);
        *fails = false;
        return SQUALL_OK;
    }
    snprintf(how->said, sizeof how->said, "its worst output has %.1f dB%s", psnr_db,
             wished ? "" : ", and no step has such a tactic");
    *fails = wished && !(psnr_db >= how->options->below_db);
    how->psnr_db = *fails ? psnr_db : how->psnr_db;
    return SQUALL_OK;
}

/* ------------------------------------------------------------ by the caller's own test */

static squall_status fails_check(sq_failing *how, const unsigned char *bytes, size_t size,
                                 bool *fails, squall_error *err)
{
    int32_t answer = 0;
    sq_text path = {0};
    sq_text_add(&path, "%s.candidate", how->out_path);
    if (path.failed) {
        sq_text_free(&path);
        return sq_fail(err, SQUALL_E_MEMORY, how->out_path, "no memory for its name");
    }
    squall_status status = sq_file_write(path.data, bytes, size, err);
    if (status == SQUALL_OK) {
        status = how->options->check(how->options->check_self, path.data, &answer, err);
        (void)unlink(path.data);
    }
    snprintf(how->said, sizeof how->said, "the check does not fail");
    *fails = answer != 0;
    sq_text_free(&path);
    return status;
}

squall_status sq_fails(sq_failing *how, const unsigned char *bytes, size_t size, bool *fails,
                       squall_error *err)
{
    *fails = false;
    if (how->options->check != NULL) {
        return fails_check(how, bytes, size, fails, err);
    }
    return how->options->message != NULL ? fails_to_compile(how, bytes, size, fails, err)
                                         : is_far(how, bytes, size, fails, err);
}
