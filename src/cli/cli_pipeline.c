/* cli/cli_pipeline.c - squall pipeline: from the archive to the service, unattended. */
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "ops/pipeline/pipeline.h"

static int print_keys(void)
{
    sq_text text = {0};
    sq_pipeline_describe(&text);
    fputs(text.data != NULL ? text.data : "", stdout);
    const bool failed = text.failed;
    sq_text_free(&text);
    return failed ? CLI_FAILED : CLI_OK;
}

static int run_file(const char *path, bool json)
{
    char report[4096] = "", program[4096];
    squall_error err = {.code = SQUALL_OK};
    const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length <= 0) {
        fprintf(stderr, "squall pipeline: where the program itself is cannot be found out\n");
        return CLI_FAILED;
    }
    program[length] = '\0';
    sq_log *log = sq_log_create(STDERR_FILENO, SQ_LOG_INFO);
    const squall_status status = sq_pipeline_run(path, program, log, report, &err);
    sq_log_destroy(&log);
    if (json && report[0] != '\0') {
        char *end = strrchr(report, '.');
        memcpy(end, ".json", sizeof ".json");
        json_t *document = json_load_file(report, 0, NULL);
        (void)!cli_print_json(document);
    } else if (report[0] != '\0') {
        printf("%s\n", report);
    }
    return status == SQUALL_OK ? CLI_OK : cli_report("pipeline", &err);
}

static int run(int argc, char **argv)
{
    bool json = false, keys = false;
    cli_list rest;
    int code;
    const cli_option options[] = {
        {.name = "keys", .flag = &keys, .help = "print every key of the configuration, and end"},
        {.name = "json", .flag = &json, .help = "print the report as JSON"},
    };
    if (!cli_parse(&cli_pipeline, options, sizeof options / sizeof options[0], argc, argv, &rest,
                   &code)) {
        return code;
    }
    if (keys) {
        code = print_keys();
    } else if (rest.count != 2 || strcmp(rest.items[0], "run") != 0) {
        fprintf(stderr, "squall pipeline: run FILE.ini is needed\n");
        code = CLI_USAGE;
    } else {
        code = run_file(rest.items[1], json);
    }
    cli_list_free(&rest);
    return code;
}

const cli_command cli_pipeline = {
    .name = "pipeline",
    .arguments = "run FILE.ini",
    .summary = "train, export, build, compare, score, sign, add and release, unattended",
    .details =
        "A stage whose inputs and outputs are as before is not done again, so a run that was cut\n"
        "off goes on where it was. One that fails stops the run and leaves the service untouched.\n"
        "Prints the path of its report; its log, lines of JSON, goes to stderr. docs/releases.md.",
    .run = run,
};
