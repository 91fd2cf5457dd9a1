/* cli/cli_main.c - the program: which command, and what it is. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/cli_version.h"

static const cli_command *const commands[] = {&cli_info,     &cli_build,         &cli_devices,
                                              &cli_inspect,  &cli_bench,         &cli_features,
                                              &cli_forecast, &cli_verify,        &cli_keygen,
                                              &cli_sign,     &cli_verify_engine, &cli_tactics,
                                              &cli_refit,    &cli_compare,       &cli_reduce,
                                              &cli_serve,    &cli_keyring,       &cli_model,
                                              &cli_release,  &cli_lora,          &cli_pipeline};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void print_version(void)
{
    printf("squall %s (commit %s)\ncompiler: %s\n", SQUALL_VERSION, SQUALL_COMMIT,
#if defined(__clang__)
           "clang " __clang_version__
#else
           "gcc " __VERSION__
#endif
    );
    printf("processor: %s; kernels: %s; %d threads\n", sq_cpu_features(), sq_isa_name(sq_cpu_isa()),
           sq_cpu_count());
}

static void print_help(void)
{
    printf("squall %s - rain nowcasting: from radar files and a network to a forecast\n\n"
           "Usage: squall COMMAND [OPTION...] [ARGUMENT...]\n\nCommands:\n",
           SQUALL_VERSION);
    for (size_t i = 0; i < COMMANDS; i++) {
        printf("  %-13s %s\n", commands[i]->name, commands[i]->summary);
    }
    printf("  %-13s %s\n", "help", "this text, or that of one command: squall help COMMAND");
    printf("  %-13s %s\n", "--version", "version, commit, compiler, processor features in use");
    printf("\nEvery command has --help, and --json for a result that programs can read. Results go "
           "to\n"
           "stdout, messages and notes to stderr; a note names what was left out or replaced, and "
           "why.\n"
           "\nTimes are UTC, as 2010-08-26T02:00Z or 2010-08-26T02:00:00Z. Rain rates are in mm/h. "
           "Files\n"
           "appear under their names only when they are complete.\n"
           "\nExit codes:\n"
           "  0  done\n"
           "  1  failed: an input could not be used, or the result could not be written\n"
           "  2  wrong usage: an unknown option, or a value that is not allowed\n"
           "  3  done, but with something missing (only with forecast --strict)\n"
           "\nEnvironment:\n"
           "  SQUALL_CPU  use no more than this instruction set: c, avx2, avx512, avx512vnni,\n"
           "              neon, neondot, neoni8mm\n");
}

static const cli_command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

static int unknown(const char *name)
{
    fprintf(stderr, "squall: unknown command '%s'; see squall help\n", name);
    return CLI_USAGE;
}

/* A mask with a slip in it would quietly mean plain C. */
static bool known_mask(const char *mask)
{
    sq_isa isa;
    return mask == NULL || *mask == '\0' || sq_isa_find(mask, &isa);
}

static int dispatch(int argc, char **argv)
{
    if (!known_mask(getenv("SQUALL_CPU"))) {
        fprintf(stderr,
                "squall: SQUALL_CPU: '%s' is none of c, avx2, avx512, avx512vnni, neon, neondot, "
                "neoni8mm\n",
                getenv("SQUALL_CPU"));
        return CLI_USAGE;
    }
    const char *name = argc > 1 ? argv[1] : "help";
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        print_version();
        return CLI_OK;
    }
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        const cli_command *command = argc > 2 ? find_command(argv[2]) : NULL;
        if (command != NULL) {
            char option[] = "--help";
            char *help[] = {argv[2], option, NULL};
            return command->run(2, help);
        }
        if (argc > 2) {
            return unknown(argv[2]);
        }
        print_help();
        return argc > 1 ? CLI_OK : CLI_USAGE;
    }
    const cli_command *command = find_command(name);
    return command != NULL ? command->run(argc - 1, argv + 1) : unknown(name);
}

int main(int argc, char **argv)
{
    const int code = dispatch(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "squall: the output could not be written\n");
        return CLI_FAILED;
    }
    return code;
}
