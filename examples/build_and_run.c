/* build_and_run.c - a model becomes an engine, the engine is looked at, and runs.
 *
 *     cc -std=c11 build_and_run.c $(pkg-config --cflags --libs squall) -o build_and_run
 *     ./build_and_run MODEL.onnx OUT.engine [SIZE...]
 *
 * The sizes are those of the only input, where the model leaves them open: 1 4 256 256.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <squall/compile.h>
#include <squall/engine.h>

enum { MOST = 16 };

static int failed(const squall_error *err)
{
    fprintf(stderr, "%s: %s (%s)\n", err->where, err->text, squall_status_name(err->code));
    return 1;
}

/* Memory for a tensor, filled with numbers from -1 to 1; the caller frees `data`. */
static squall_tensor with_data(squall_tensor type)
{
    const size_t bytes = squall_tensor_bytes(&type);
    type.data = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (type.data != NULL && type.dtype == SQUALL_F32) {
        for (size_t i = 0; i < squall_tensor_count(&type); i++) {
            ((float *)type.data)[i] = (float)(i * 7919 % 1000) / 500.0f - 1.0f;
        }
    }
    return type;
}

static void print_type(const char *what, const char *name, const squall_tensor *type)
{
    printf("%s %s %s[", what, name, squall_dtype_name(type->dtype));
    for (uint32_t i = 0; i < type->rank; i++) {
        printf("%s%" PRId64, i > 0 ? "," : "", type->dims[i]);
    }
    printf("]\n");
}

/* What the first profile of an engine is. */
static int inspect(const squall_engine *engine, squall_error *err)
{
    squall_profile_info info;
    int64_t least, most;
    if (squall_engine_profile(engine, 0, &info, err) != SQUALL_OK ||
        squall_engine_batches(engine, 0, 0, &least, &most, err) != SQUALL_OK) {
        return failed(err);
    }
    printf("model %s, made by squall %s\n", squall_engine_text(engine, "model"),
           squall_engine_text(engine, "squall_version"));
    printf("%u steps on %s, batches %" PRId64 " to %" PRId64 ", arena %zu bytes (at least %zu)\n",
           info.step_count, info.backend, least, most, info.arena_bytes, info.arena_bound_bytes);
    for (uint32_t i = 0; i < info.step_count; i++) {
        squall_step_info step;
        if (squall_engine_step(engine, 0, i, &step, err) != SQUALL_OK) {
            return failed(err);
        }
        printf("  %-12s %-4s %-28s %s\n", step.op, step.backend, step.tactic, step.name);
    }
    return 0;
}

static int run(squall_engine *engine, squall_error *err)
{
    squall_context *context = NULL;
    squall_tensor in[MOST] = {{0}}, out[MOST] = {{0}};
    const size_t inputs = squall_engine_input_count(engine);
    const size_t outputs = squall_engine_output_count(engine);
    const char *name;
    int code = 1;
    if (inputs > MOST || outputs > MOST) {
        fprintf(stderr, "more than %d inputs or outputs\n", MOST);
        return 1;
    }
    /* A context is one caller's memory for runs; an engine may have many, one a thread. */
    if (squall_context_create(engine, 0, 0, &context, err) != SQUALL_OK) {
        return failed(err);
    }
    for (size_t i = 0; i < inputs; i++) {
        if (squall_engine_input(engine, 0, i, &name, &in[i], err) != SQUALL_OK) {
            goto done;
        }
        print_type("input", name, &in[i]);
        in[i] = with_data(in[i]);
    }
    for (size_t i = 0; i < outputs; i++) {
        if (squall_engine_output(engine, 0, i, &name, &out[i], err) != SQUALL_OK) {
            goto done;
        }
        print_type("output", name, &out[i]);
        out[i] = with_data(out[i]);
    }
    if (squall_context_run(context, in, inputs, out, outputs, err) != SQUALL_OK) {
        goto done;
    }
    double sum = 0;
    for (size_t i = 0; out[0].dtype == SQUALL_F32 && i < squall_tensor_count(&out[0]); i++) {
        sum += (double)((const float *)out[0].data)[i];
    }
    printf("sum of the first output %.6f\n", sum);
    code = 0;
done:
    if (code != 0) {
        failed(err);
    }
    for (size_t i = 0; i < MOST; i++) {
        free(in[i].data);
        free(out[i].data);
    }
    squall_context_destroy(&context);
    return code;
}

int main(int argc, char **argv)
{
    squall_error err;
    squall_build_options options;
    squall_build_report report;
    squall_engine *engine = NULL;
    squall_input_shape shape = {.name = NULL};
    if (argc < 3 || argc > 3 + SQUALL_MAX_DIMS) {
        fprintf(stderr, "usage: build_and_run MODEL.onnx OUT.engine [SIZE...]\n");
        return 2;
    }
    for (int i = 3; i < argc; i++) {
        shape.dims[shape.rank++] = strtoll(argv[i], NULL, 10);
    }
    squall_notes *notes = squall_notes_create();
    squall_build_options_init(&options);
    options.shapes = &shape;
    options.shape_count = shape.rank > 0 ? 1 : 0;
    int code = squall_build(argv[1], &options, argv[2], &report, notes, &err) == SQUALL_OK
                   ? 0
                   : failed(&err);
    for (size_t i = 0; code != 0 && i < squall_notes_count(notes); i++) {
        fprintf(stderr, "note: %s\n", squall_notes_get(notes, i));
    }
    if (code == 0) {
        printf("%u nodes became %u steps, %zu bytes\n", report.nodes_in, report.steps_out,
               report.file_bytes);
        code =
            squall_engine_open(argv[2], NULL, &engine, notes, &err) == SQUALL_OK ? 0 : failed(&err);
    }
    if (code == 0) {
        code = inspect(engine, &err);
    }
    if (code == 0) {
        code = run(engine, &err);
    }
    squall_engine_close(&engine);
    squall_notes_destroy(&notes);
    return code;
}
