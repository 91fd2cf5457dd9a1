/* cli/cli_bench.c - squall bench: how long an engine takes, and where. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/cli_bench_edge.h"
#include "cli/cli_engine.h"
#include "cli/cli_npy.h"

enum { MAX_IO = 16 };

/* What was asked for on the command line. */
typedef struct request {
    int32_t threads, profile, runs, warmup, batch;
    bool layers, json, edge;
    cli_engine open;
    cli_list inputs, references; /* .npy files */
} request;

/* An engine with its tensors. */
typedef struct bench {
    squall_engine *engine;
    squall_context *context;
    squall_tensor inputs[MAX_IO], outputs[MAX_IO]; /* owned data */
    size_t input_count, output_count;
    double *times;           /* owned, seconds, sorted after the runs */
    double device_s;         /* least time on a GPU, without copies; 0 elsewhere */
    double load_s, opened_s; /* and when the clock began */
    cli_edge edge;
    double psnr_db, worst; /* against the references; NaN without */
} bench;

static int by_size(const void *a, const void *b)
{
    const double l = *(const double *)a, r = *(const double *)b;
    return l < r ? -1 : l > r ? 1 : 0;
}

/* Numbers that are neither all zero nor special: 0..1, the same in every run. */
static void fill(squall_tensor *tensor)
{
    const size_t count = squall_tensor_count(tensor);
    uint32_t state = 1u;
    for (size_t i = 0; tensor->dtype == SQUALL_F32 && i < count; i++) {
        state = state * 1664525u + 1013904223u;
        ((float *)tensor->data)[i] = (float)(state >> 8) * 0x1p-24f;
    }
}

/* The context that was asked for; by default the one that takes the inputs from files, if any. */
static squall_status make_context(bench *b, const request *want, squall_error *err)
{
    const size_t profile = want->profile < 0 ? 0 : (size_t)want->profile;
    bool by_shape = want->batch > 0;
    for (size_t i = 0; i < b->input_count; i++) {
        int64_t least, most;
        squall_tensor type;
        SQ_TRY(squall_engine_input(b->engine, profile, i, NULL, &type, err));
        SQ_TRY(squall_engine_batches(b->engine, profile, i, &least, &most, err));
        if (want->batch > 0 && least != most) {
            type.dims[0] = want->batch;
        }
        if (i >= want->inputs.count) {
            b->inputs[i] = type;
        } else if (want->profile < 0) { /* as it was read */
            by_shape = true;
        }
    }
    return by_shape ? squall_context_create_for(b->engine, b->inputs, b->input_count, want->threads,
                                                &b->context, err)
                    : squall_context_create(b->engine, profile, want->threads, &b->context, err);
}

static squall_status prepare(bench *b, const request *want, const char *path, squall_notes *notes,
                             squall_error *err)
{
    for (size_t i = 0; i < want->inputs.count && i < MAX_IO; i++) {
        SQ_TRY(cli_npy_read(want->inputs.items[i], &b->inputs[i], err));
    }
    const double start = b->opened_s = sq_clock_s();
    SQ_TRY(cli_engine_open(&want->open, path, &b->engine, notes, err));
    b->input_count = squall_engine_input_count(b->engine);
    b->output_count = squall_engine_output_count(b->engine);
    if (b->input_count > MAX_IO || b->output_count > MAX_IO) {
        return sq_fail(err, SQUALL_E_LIMIT, path, "has more than %d inputs or outputs", MAX_IO);
    }
    if (want->inputs.count > b->input_count) {
        return sq_fail(err, SQUALL_E_ARGUMENT, path, "has %zu inputs; %zu files were given",
                       b->input_count, want->inputs.count);
    }
    SQ_TRY(make_context(b, want, err));
    b->load_s = sq_clock_s() - start;
    for (size_t i = 0; i < b->input_count + b->output_count; i++) {
        const bool in = i < b->input_count;
        squall_tensor *tensor = in ? &b->inputs[i] : &b->outputs[i - b->input_count];
        if (in && i < want->inputs.count) {
            continue;
        }
        SQ_TRY(in ? squall_context_input(b->context, i, tensor, err)
                  : squall_context_output(b->context, i - b->input_count, tensor, err));
        tensor->data = NULL;
        tensor->data = sq_alloc(squall_tensor_bytes(tensor), 1);
        if (tensor->data == NULL) {
            return sq_fail(err, SQUALL_E_MEMORY, path, "no memory for its tensors");
        }
        if (in) {
            fill(tensor);
        }
    }
    return SQUALL_OK;
}

static squall_status measure(bench *b, const request *want, squall_error *err)
{
    b->times = sq_alloc((size_t)want->runs, sizeof *b->times);
    if (b->times == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "times", "no memory");
    }
    for (int32_t i = -want->warmup; i < want->runs; i++) {
        if (want->edge && i == 0) {
            cli_edge_begin(&b->edge);
        }
        const double start = sq_clock_s();
        SQ_TRY(squall_context_run(b->context, b->inputs, b->input_count, b->outputs,
                                  b->output_count, err));
        if (i == -want->warmup) {
            b->edge.first_s = sq_clock_s() - b->opened_s;
        }
        if (i >= 0) {
            b->times[i] = sq_clock_s() - start;
            const double device_s = squall_context_device_s(b->context);
            b->device_s = i == 0 || device_s < b->device_s ? device_s : b->device_s;
            cli_progress("bench", (size_t)i + 1, (size_t)want->runs);
            if (want->edge) {
                cli_edge_sample(&b->edge);
            }
        }
    }
    qsort(b->times, (size_t)want->runs, sizeof *b->times, by_size);
    return SQUALL_OK;
}

/* Worst error over the reference's range, and the PSNR, of the outputs for which one was given. */
static squall_status compare(bench *b, const request *want, squall_error *err)
{
    b->psnr_db = b->worst = NAN;
    for (size_t k = 0; k < want->references.count && k < b->output_count; k++) {
        squall_tensor reference;
        SQ_TRY(cli_npy_read(want->references.items[k], &reference, err));
        const size_t count = squall_tensor_count(&b->outputs[k]);
        if (reference.dtype != SQUALL_F32 || squall_tensor_count(&reference) != count) {
            sq_free(reference.data);
            return sq_fail(err, SQUALL_E_SHAPE, want->references.items[k],
                           "does not fit output %zu", k);
        }
        const float *a = b->outputs[k].data, *r = reference.data;
        double low = INFINITY, high = -INFINITY, square = 0.0, worst = 0.0;
        for (size_t i = 0; i < count; i++) {
            const double error = fabs((double)a[i] - (double)r[i]);
            low = fmin(low, r[i]);
            high = fmax(high, r[i]);
            square += error * error;
            worst = error > worst || isnan(error) ? error : worst;
        }
        sq_free(reference.data);
        const double range = high - low;
        const double psnr = 10.0 * log10(range * range * (double)count / square);
        b->worst = isnan(b->worst) || worst / range > b->worst ? worst / range : b->worst;
        b->psnr_db = isnan(b->psnr_db) || psnr < b->psnr_db ? psnr : b->psnr_db;
    }
    return SQUALL_OK;
}

static json_t *layers_json(const squall_step_time *steps, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, json_pack("{s:o, s:s, s:s, s:f, s:I, s:I}", "name",
                                              cli_text(steps[i].name), "op", steps[i].op, "tactic",
                                              steps[i].tactic, "seconds", steps[i].seconds, "macs",
                                              (json_int_t)steps[i].macs, "bytes",
                                              (json_int_t)steps[i].bytes));
    }
    return list;
}

static void print_layers(const squall_step_time *steps, size_t count)
{
    printf("\n  %9s %9s %9s  %-18s %-28s %s\n", "ms", "GFLOP/s", "GB/s", "op", "tactic", "name");
    for (size_t i = 0; i < count; i++) {
        const double s = steps[i].seconds > 0 ? steps[i].seconds : 1e-9;
        printf("  %9.3f %9.1f %9.1f  %-18s %-28s %s\n", 1e3 * s, 2e-9 * (double)steps[i].macs / s,
               1e-9 * (double)steps[i].bytes / s, steps[i].op, steps[i].tactic, steps[i].name);
    }
}

static squall_status print_result(json_t *document, squall_error *err)
{
    return cli_print_json(document) == CLI_OK
               ? SQUALL_OK
               : sq_fail(err, SQUALL_E_IO, "result", "could not be printed");
}

static squall_status report(bench *b, const request *want, const char *path, squall_error *err)
{
    squall_profile_info info;
    const squall_step_time *steps = NULL;
    size_t step_count = 0;
    squall_context_info(b->context, &info);
    if (want->edge) {
        cli_edge_end(&b->edge, want->runs, path);
    }
    if (want->layers) {
        SQ_TRY(squall_context_profile(b->context, b->inputs, b->input_count, b->outputs,
                                      b->output_count, &steps, &step_count, err));
    }
    const size_t n = (size_t)want->runs;
    const double median =
        n % 2 == 1 ? b->times[n / 2] : 0.5 * (b->times[n / 2 - 1] + b->times[n / 2]);
    const double p99 = b->times[(size_t)ceil(0.99 * (double)n) - 1];
    if (want->json) {
        json_t *document =
            json_pack("{s:o, s:s, s:i, s:f, s:f, s:f, s:f, s:o, s:f, s:f, s:I, s:I, s:o, s:o, s:o}",
                      "engine", cli_text(path), "backend", info.backend, "runs", (int)n,
                      "median_ms", 1e3 * median, "min_ms", 1e3 * b->times[0], "p99_ms", 1e3 * p99,
                      "max_ms", 1e3 * b->times[n - 1], "gflop_s",
                      cli_real(2e-9 * (double)info.macs / median), "device_min_ms",
                      1e3 * b->device_s, "load_ms", 1e3 * b->load_s, "peak_bytes",
                      (json_int_t)cli_peak_bytes(), "arena_bytes", (json_int_t)info.arena_bytes,
                      "psnr_db", cli_real(b->psnr_db), "worst_relative_error", cli_real(b->worst),
                      "layers", layers_json(steps, step_count));
        if (want->edge) {
            json_object_set_new(document, "edge", cli_edge_json(&b->edge));
        }
        return print_result(document, err);
    }
    printf("%s on %s: median %.3f ms of %zu runs (min %.3f, p99 %.3f, max %.3f), %.1f GFLOP/s\n"
           "  load %.1f ms, peak memory %.1f MB, arena %.1f MB\n",
           path, info.backend, 1e3 * median, n, 1e3 * b->times[0], 1e3 * p99, 1e3 * b->times[n - 1],
           2e-9 * (double)info.macs / median, 1e3 * b->load_s, (double)cli_peak_bytes() / 1e6,
           (double)info.arena_bytes / 1e6);
    if (want->edge) {
        cli_edge_print(&b->edge);
    }
    if (b->device_s > 0) {
        printf("  on the GPU alone, without copies: %.3f ms at the least\n", 1e3 * b->device_s);
    }
    if (!isnan(b->worst)) {
        printf("  against the reference: worst error %.3g of its range, PSNR %.1f dB\n", b->worst,
               b->psnr_db);
    }
    if (want->layers) {
        print_layers(steps, step_count);
    }
    return SQUALL_OK;
}

static void release(bench *b)
{
    for (size_t i = 0; i < MAX_IO; i++) {
        sq_free(b->inputs[i].data);
        sq_free(b->outputs[i].data);
    }
    sq_free(b->times);
    squall_context_destroy(&b->context);
    squall_engine_close(&b->engine);
}

static int run(int argc, char **argv)
{
    squall_error err = {.code = SQUALL_OK};
    request want = {.profile = -1, .runs = 20, .warmup = 2};
    bench b = {.engine = NULL};
    cli_list paths;
    int code;
    const cli_option options[] = {
        {.name = "runs",
         .argument = "N",
         .number = &want.runs,
         .low = 1,
         .high = 1000000,
         .help = "runs that count (default 20)"},
        {.name = "warmup",
         .argument = "N",
         .number = &want.warmup,
         .low = 0,
         .high = 1000000,
         .help = "runs before them (default 2)"},
        {.name = "threads",
         .argument = "N",
         .number = &want.threads,
         .low = 0,
         .high = 256,
         .help = "threads (default: one for each processor)"},
        {.name = "profile",
         .argument = "K",
         .number = &want.profile,
         .low = 0,
         .high = 1024,
         .help = "profile of the engine (default: what takes the input, else 0)"},
        {.name = "batch",
         .argument = "N",
         .number = &want.batch,
         .low = 0,
         .high = 1000000,
         .help = "batch, within what the engine takes (default: the planned one)"},
        {.name = "input",
         .argument = "FILE.npy",
         .list = &want.inputs,
         .help = "input tensor; may be given again (default: numbers from 0 to 1)"},
        {.name = "reference",
         .argument = "FILE.npy",
         .list = &want.references,
         .help = "what the output should be; may be given again"},
        {.name = "edge",
         .flag = &want.edge,
         .help = "cold start, processor time and energy of a run, too: docs/edge.md"},
        {.name = "layers", .flag = &want.layers, .help = "time of each step"},
        CLI_ENGINE_OPTIONS(want.open),
        {.name = "json", .flag = &want.json, .help = "print JSON"},
    };
    if (!cli_parse(&cli_bench, options, sizeof options / sizeof options[0], argc, argv, &paths,
                   &code)) {
        return code;
    }
    squall_notes *notes = squall_notes_create();
    if (paths.count != 1) {
        fprintf(stderr, "squall bench: name one engine file\n");
        code = CLI_USAGE;
    } else if (prepare(&b, &want, paths.items[0], notes, &err) != SQUALL_OK ||
               measure(&b, &want, &err) != SQUALL_OK || compare(&b, &want, &err) != SQUALL_OK ||
               report(&b, &want, paths.items[0], &err) != SQUALL_OK) {
        code = cli_report("bench", &err);
    }
    cli_print_notes("bench", notes);
    release(&b);
    squall_notes_destroy(&notes);
    cli_list_free(&want.inputs);
    cli_list_free(&want.references);
    cli_list_free(&paths);
    return code;
}

const cli_command cli_bench = {
    .name = "bench",
    .arguments = "ENGINE",
    .summary = "time an engine, as a whole and step by step",
    .details =
        "Times are of single runs, the inputs already in memory. Times on shared machines vary:\n"
        "compare engines by running them in turn.",
    .run = run,
};
