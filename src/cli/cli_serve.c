/* cli/cli_serve.c - squall serve: the service. */
#include <string.h>

#include "cli/cli.h"
#include "svc/config/config.h"
#include "svc/serve/serve.h"

static int print_keys(void)
{
    sq_text text = {0};
    sq_config_describe(&text);
    if (text.failed) {
        fprintf(stderr, "squall serve: no memory\n");
        return CLI_FAILED;
    }
    fputs(text.data, stdout);
    sq_text_free(&text);
    return CLI_OK;
}

static int print_key(void)
{
    char key[65], hash[65];
    squall_error err = {.code = SQUALL_OK};
    if (sq_serve_make_key(key, hash, &err) != SQUALL_OK) {
        return cli_report("serve", &err);
    }
    printf("key:  %s\nhash: %s\n", key, hash);
    return CLI_OK;
}

static int check(const char *path)
{
    squall_error err = {.code = SQUALL_OK};
    squall_notes *notes = squall_notes_create();
    const squall_status status = sq_serve_check(path, notes, &err);
    cli_print_notes("serve", notes);
    squall_notes_destroy(&notes);
    if (status != SQUALL_OK) {
        return cli_report("serve", &err);
    }
    printf("%s: everything is in order\n", path);
    return CLI_OK;
}

static int serve(const char *path)
{
    squall_error err = {.code = SQUALL_OK};
    squall_notes *notes = squall_notes_create();
    sq_serve *service = NULL;
    const squall_status status = sq_serve_open(path, &service, notes, &err);
    cli_print_notes("serve", notes);
    squall_notes_destroy(&notes);
    if (status != SQUALL_OK) {
        return cli_report("serve", &err);
    }
    for (size_t i = 0; sq_serve_address(service, i) != NULL; i++) {
        printf("%s\n", sq_serve_address(service, i));
    }
    fflush(stdout);
    sq_serve_wait(service);
    sq_serve_close(&service);
    return CLI_OK;
}

static int run(int argc, char **argv)
{
    const char *config = NULL;
    bool only_check = false, keys = false, make_key = false;
    cli_list rest;
    int code;
    const cli_option options[] = {
        {.name = "config",
         .argument = "FILE.ini",
         .text = &config,
         .help = "configuration (docs/serve.md)"},
        {.name = "check",
         .flag = &only_check,
         .help = "check the configuration and what it names, and end"},
        {.name = "keys", .flag = &keys, .help = "print every key of the configuration, and end"},
        {.name = "make-key",
         .flag = &make_key,
         .help = "print a new API key and the hash for the configuration, and end"},
    };
    if (!cli_parse(&cli_serve, options, sizeof options / sizeof options[0], argc, argv, &rest,
                   &code)) {
        return code;
    }
    const size_t given = rest.count;
    cli_list_free(&rest);
    if (keys) {
        return print_keys();
    }
    if (make_key) {
        return print_key();
    }
    if (config == NULL || given > 0) {
        fprintf(stderr, "squall serve: it takes --config FILE.ini and no other argument\n");
        return CLI_USAGE;
    }
    return only_check ? check(config) : serve(config);
}

const cli_command cli_serve = {
    .name = "serve",
    .arguments = "",
    .summary = "serve forecasts to people and machines, renewed with every radar file",
    .details = "Watches folders for radar files, forecasts each region when its files are there, "
               "and answers\n"
               "over HTTP. Its addresses go to stdout, its log, lines of JSON, to stderr. SIGTERM "
               "stops it when what\n"
               "runs is finished; SIGHUP reads the configuration again.",
    .run = run};
