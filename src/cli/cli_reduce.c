/* cli/cli_reduce.c - squall reduce: the smallest part of a model that still fails. */
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/cli_npy.h"
#include "cli/cli_shape.h"
#include "squall/reduce.h"

enum { MAX_PORTS = 64 };

/* What was asked for on the command line. */
typedef struct request {
    const char *out, *check, *message, *tactic, *device;
    cli_list shapes, inputs;
    int32_t threads, check_code;
    double below_db, seconds;
    bool json;
} request;

/* A test by another program: COMMAND FILE, whose exit code says whether the file fails. */
static squall_status run_check(void *self, const char *path, int32_t *fails, squall_error *err)
{
    const request *want = self;
    char shell[] = "sh", option[] = "-c", *file = (char *)(uintptr_t)path;
    sq_text command = {0};
    posix_spawn_file_actions_t silent;
    pid_t child;
    int state = 0;
    sq_text_add(&command, "%s \"$1\"", want->check);
    if (command.failed || posix_spawn_file_actions_init(&silent) != 0) {
        sq_text_free(&command);
        return sq_fail(err, SQUALL_E_MEMORY, want->check, "no memory to run it");
    }
    (void)posix_spawn_file_actions_addopen(&silent, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    (void)posix_spawn_file_actions_addopen(&silent, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    char *arguments[] = {shell, option, command.data, shell, file, NULL};
    const bool started = posix_spawn(&child, "/bin/sh", &silent, NULL, arguments, environ) == 0 &&
                         waitpid(child, &state, 0) == child;
    posix_spawn_file_actions_destroy(&silent);
    sq_text_free(&command);
    const int code = WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
    if (!started || code == 126 || code == 127) {
        return sq_fail(err, SQUALL_E_IO, want->check, "cannot be run as a command with a file");
    }
    *fails = want->check_code >= 0 ? code == want->check_code : code != 0;
    return SQUALL_OK;
}

/* Shapes and numbers as they were asked for; `tensors` are given. */
static squall_status read_inputs(const request *want, squall_input_shape *shapes,
                                 char (*names)[128], squall_tensor *tensors, squall_error *err)
{
    if (want->shapes.count > MAX_PORTS || want->inputs.count > MAX_PORTS) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "--shape", "at most %d shapes and inputs",
                       MAX_PORTS);
    }
    for (size_t i = 0; i < want->shapes.count; i++) {
        if (!cli_shape_parse("shape", want->shapes.items[i], false, &shapes[i], names[i],
                             sizeof names[i])) {
            return sq_fail(err, SQUALL_E_ARGUMENT, "--shape", "'%s' is no shape like x=1x4x256x256",
                           want->shapes.items[i]);
        }
    }
    for (size_t i = 0; i < want->inputs.count; i++) {
        SQ_TRY(cli_npy_read(want->inputs.items[i], &tensors[i], err));
    }
    return SQUALL_OK;
}

static squall_status reduce(request *want, const char *model, squall_reduce_report *report,
                            squall_notes *notes, squall_error *err)
{
    squall_reduce_options options;
    squall_input_shape shapes[MAX_PORTS];
    squall_tensor tensors[MAX_PORTS];
    char names[MAX_PORTS][128];
    memset(tensors, 0, sizeof tensors);
    squall_status status = read_inputs(want, shapes, names, tensors, err);
    if (status == SQUALL_OK) {
        squall_reduce_options_init(&options);
        options.check = want->check != NULL ? run_check : NULL;
        options.check_self = want;
        options.message = want->message;
        options.below_db = want->below_db;
        options.tactic = want->tactic;
        options.device = want->device;
        options.threads = want->threads;
        options.shapes = shapes;
        options.shape_count = want->shapes.count;
        options.inputs = tensors;
        options.input_count = want->inputs.count;
        options.seconds = want->seconds;
        status = squall_reduce(model, &options, want->out, report, notes, err);
    }
    for (size_t i = 0; i < MAX_PORTS; i++) {
        sq_free(tensors[i].data);
    }
    return status;
}

static int print_report(const request *want, const squall_reduce_report *report,
                        const squall_notes *notes)
{
    if (want->json) {
        return cli_print_json(
            json_pack("{s:o, s:I, s:I, s:I, s:b, s:o, s:f, s:o}", "model", cli_text(want->out),
                      "nodes_in", (json_int_t)report->nodes_in, "nodes",
                      (json_int_t)report->nodes_out, "tests", (json_int_t)report->tests, "complete",
                      report->complete, "psnr_db", cli_real(report->psnr_db), "seconds",
                      report->seconds, "notes", cli_notes_json(notes)));
    }
    printf("%s: %u of %u nodes still fail", want->out, report->nodes_out, report->nodes_in);
    if (want->check == NULL && want->message == NULL) {
        printf(", at %.1f dB", report->psnr_db);
    }
    printf("; %u models were tried in %.1f s\n", report->tests, report->seconds);
    return CLI_OK;
}

static int run(int argc, char **argv)
{
    squall_error err = {.code = SQUALL_OK};
    squall_reduce_report report;
    request want = {.device = "cpu", .below_db = 40.0, .check_code = -1};
    cli_list models;
    int code;
    const cli_option options[] = {
        {.name = "out",
         .argument = "FILE.onnx",
         .text = &want.out,
         .help = "where the smaller model goes (needed)"},
        {.name = "below",
         .argument = "DB",
         .real = &want.below_db,
         .low = -1000,
         .high = 1000,
         .help = "it fails when an output is less than this from plain C (default 40)"},
        {.name = "tactic",
         .argument = "NAME",
         .text = &want.tactic,
         .help = "with --below: by tactics whose name has this in it"},
        {.name = "message",
         .argument = "TEXT",
         .text = &want.message,
         .help = "it fails when it cannot be compiled and an error or note says this"},
        {.name = "check",
         .argument = "COMMAND",
         .text = &want.check,
         .help = "it fails when this command, given its file, does not exit with 0"},
        {.name = "check-code",
         .argument = "N",
         .number = &want.check_code,
         .low = 1,
         .high = 255,
         .help = "with --check: only this exit code counts"},
        {.name = "shape",
         .argument = "NAME=1x4x256x256",
         .list = &want.shapes,
         .help = "shape of an input that is not fixed"},
        {.name = "input",
         .argument = "FILE.npy",
         .list = &want.inputs,
         .help = "numbers to try it with, once for each input (default: random ones)"},
        {.name = "seconds",
         .argument = "S",
         .real = &want.seconds,
         .low = 0,
         .high = 864000,
         .help = "time to spend (default: until no node can go)"},
        {.name = "device",
         .argument = "cpu|ref",
         .text = &want.device,
         .help = "kernels to try it with (default cpu)"},
        {.name = "threads",
         .argument = "N",
         .number = &want.threads,
         .low = 0,
         .high = 256,
         .help = "threads (default: one for each processor)"},
        {.name = "json", .flag = &want.json, .help = "print JSON"},
    };
    if (!cli_parse(&cli_reduce, options, sizeof options / sizeof options[0], argc, argv, &models,
                   &code)) {
        return code;
    }
    squall_notes *notes = squall_notes_create();
    if (models.count != 1 || want.out == NULL) {
        fprintf(stderr, "squall reduce: one model and --out are needed\n");
        code = CLI_USAGE;
    } else if (reduce(&want, models.items[0], &report, notes, &err) != SQUALL_OK) {
        code = cli_report("reduce", &err);
    } else {
        cli_print_notes("reduce", notes);
        code = print_report(&want, &report, notes);
    }
    squall_notes_destroy(&notes);
    cli_list_free(&want.shapes);
    cli_list_free(&want.inputs);
    cli_list_free(&models);
    return code;
}

const cli_command cli_reduce = {
    .name = "reduce",
    .arguments = "MODEL.onnx",
    .summary = "the smallest part of a model that still fails, as a model of its own",
    .details = "Leaves nodes out, then makes inputs smaller, as long as it fails: by numbers that\n"
               "differ from plain C, by what its compilation says, or by a command. What is left\n"
               "out becomes an input, tried with the numbers that the whole model has there.",
    .run = run,
};
