/* cli/cli_args.c - options by table: parsing, and --help made from the same rows. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static void print_help(const cli_command *command, const cli_option *options, size_t count)
{
    printf("squall %s - %s\n\nUsage: squall %s [OPTION...] %s\n", command->name, command->summary,
           command->name, command->arguments);
    if (command->details != NULL) {
        printf("\n%s\n", command->details);
    }
    printf("\nOptions:\n");
    for (size_t i = 0; i < count; i++) {
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", options[i].name,
                 options[i].argument != NULL ? " " : "",
                 options[i].argument != NULL ? options[i].argument : "");
        printf("  %-32s %s\n", left, options[i].help);
    }
    printf("  %-32s %s\n", "--help", "this text");
}

static bool add(cli_list *list, const char *text)
{
    const char **items = sq_regrow(list->items, list->count, list->count + 1, sizeof *items);
    if (items == NULL) {
        return false;
    }
    list->items = items;
    list->items[list->count++] = text;
    return true;
}

void cli_list_free(cli_list *list)
{
    sq_free(list->items);
    memset(list, 0, sizeof *list);
}

static bool parse_real(const char *text, double *out)
{
    char *end;
    errno = 0;
    *out = strtod(text, &end);
    return errno == 0 && end != text && *end == '\0';
}

bool cli_parse_numbers(const char *option, const char *text, int64_t *out, size_t room,
                       size_t *count)
{
    *count = 0;
    for (const char *p = text;;) {
        char *end;
        errno = 0;
        const long long value = strtoll(p, &end, 10);
        if (errno != 0 || end == p || *count == room || (*end != '\0' && *end != ',')) {
            fprintf(stderr, "squall: --%s: '%s' must be whole numbers with commas, at most %zu\n",
                    option, text, room);
            return false;
        }
        out[(*count)++] = value;
        if (*end == '\0') {
            return true;
        }
        p = end + 1;
    }
}

/* Store `value` where the row wants it; a message and false when it does not fit. */
static bool store(const cli_command *command, const cli_option *option, const char *value)
{
    double real = 0.0;
    if (option->text != NULL) {
        *option->text = value;
        return true;
    }
    if (option->list != NULL) {
        return add(option->list, value);
    }
    if (option->time != NULL) {
        if (sq_time_parse(value, option->time)) {
            return true;
        }
        fprintf(stderr, "squall %s: --%s: '%s' is no time such as 2010-08-26T02:00Z\n",
                command->name, option->name, value);
        return false;
    }
    if (!parse_real(value, &real)) {
        fprintf(stderr, "squall %s: --%s: '%s' is no number\n", command->name, option->name, value);
        return false;
    }
    const bool inside = real >= option->low && real <= option->high; /* false for NaN */
    if (!inside || (option->number != NULL && real != floor(real))) {
        fprintf(stderr, "squall %s: --%s: %s is not a %snumber from %d to %d\n", command->name,
                option->name, value, option->number != NULL ? "whole " : "", option->low,
                option->high);
        return false;
    }
    if (option->real != NULL) {
        *option->real = real;
        return true;
    }
    *option->number = (int32_t)real;
    return true;
}

/* One "--name[=value]" at argv[*i]; moves *i over a value that follows. */
static bool take_option(const cli_command *command, const cli_option *options, size_t count,
                        int argc, char **argv, int *i)
{
    const char *name = argv[*i] + 2;
    const char *equals = strchr(name, '=');
    const size_t length = equals != NULL ? (size_t)(equals - name) : strlen(name);
    for (size_t k = 0; k < count; k++) {
        if (strlen(options[k].name) != length || strncmp(options[k].name, name, length) != 0) {
            continue;
        }
        if (options[k].flag != NULL) {
            if (equals != NULL) {
                fprintf(stderr, "squall %s: --%s takes no value\n", command->name, options[k].name);
                return false;
            }
            *options[k].flag = true;
            return true;
        }
        if (equals == NULL && *i + 1 >= argc) {
            fprintf(stderr, "squall %s: --%s needs a value (%s)\n", command->name, options[k].name,
                    options[k].argument);
            return false;
        }
        return store(command, &options[k], equals != NULL ? equals + 1 : argv[++*i]);
    }
    fprintf(stderr, "squall %s: unknown option '%s'; see squall %s --help\n", command->name,
            argv[*i], command->name);
    return false;
}

bool cli_parse(const cli_command *command, const cli_option *options, size_t option_count, int argc,
               char **argv, cli_list *rest, int *code)
{
    bool only_arguments = false;
    memset(rest, 0, sizeof *rest);
    *code = CLI_USAGE;
    for (int i = 1; i < argc; i++) {
        if (!only_arguments && strcmp(argv[i], "--") == 0) {
            only_arguments = true;
        } else if (!only_arguments &&
                   (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
            print_help(command, options, option_count);
            *code = CLI_OK;
            cli_list_free(rest);
            return false;
        } else if (!only_arguments && strncmp(argv[i], "--", 2) == 0) {
            if (!take_option(command, options, option_count, argc, argv, &i)) {
                cli_list_free(rest);
                return false;
            }
        } else if (!only_arguments && argv[i][0] == '-' && argv[i][1] != '\0') {
            fprintf(stderr, "squall %s: unknown option '%s'; see squall %s --help\n", command->name,
                    argv[i], command->name);
            cli_list_free(rest);
            return false;
        } else if (!add(rest, argv[i])) {
            fprintf(stderr, "squall %s: no memory for the arguments\n", command->name);
            *code = CLI_FAILED;
            cli_list_free(rest);
            return false;
        }
    }
    *code = CLI_OK;
    return true;
}

bool cli_parse_motion(const char *command, const char *text, squall_motion_method *out)
{
    *out = SQUALL_MOTION_DENSE;
    for (int method = 0; text != NULL; method++) {
        if (method == SQUALL_MOTION_METHODS) {
            fprintf(stderr, "squall %s: --motion: '%s' is none of dense, lucas-kanade, spectral\n",
                    command, text);
            return false;
        }
        if (strcmp(text, squall_motion_method_name((squall_motion_method)method)) == 0) {
            *out = (squall_motion_method)method;
            break;
        }
    }
    return true;
}
