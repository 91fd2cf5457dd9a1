/* cli/cli_engine.h - how every command opens an engine: whose it must be, and which plan. */
#ifndef SQ_CLI_CLI_ENGINE_H
#define SQ_CLI_CLI_ENGINE_H

#include "cli/cli.h"

typedef struct cli_engine {
    const char *keys; /* --require-signature */
    bool portable;    /* --portable */
    bool native;      /* --require-native */
    bool trust;       /* --trust-kernels */
} cli_engine;

/* Rows of an option table for a cli_engine. */
#define CLI_ENGINE_OPTIONS(engine)                                                                \
    {.name = "require-signature",                                                                 \
     .argument = "KEYS",                                                                          \
     .text = &(engine).keys,                                                                      \
     .help = "refuse an engine that no key of this file has signed"},                             \
        {.name = "require-native",                                                                \
         .flag = &(engine).native,                                                                \
         .help = "refuse an engine built for another device, instead of running portably"},       \
        {.name = "trust-kernels",                                                                 \
         .flag = &(engine).trust,                                                                 \
         .help = "run GPU kernels that the engine brings, though not built here nor signed"},     \
    {                                                                                             \
        .name = "portable", .flag = &(engine).portable, .help = "use the portable plan (plain C)" \
    }

/** Open an engine as the options say. */
SQUALL_MUST_USE squall_status cli_engine_open(const cli_engine *how, const char *path,
                                              squall_engine **out, squall_notes *notes,
                                              squall_error *err);

/** Whether the one engine of `paths` is what a key of the file `keys` signed: prints it, for
 * `command`; the exit code. */
int cli_verify_signature(const char *command, const cli_list *paths, const char *keys, bool json);

#endif /* SQ_CLI_CLI_ENGINE_H */
