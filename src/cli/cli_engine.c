/* cli/cli_engine.c - how every command opens an engine. */
#include "cli/cli_engine.h"

squall_status cli_engine_open(const cli_engine *how, const char *path, squall_engine **out,
                              squall_notes *notes, squall_error *err)
{
    squall_engine_options options;
    squall_engine_options_init(&options);
    options.trusted_keys = how->keys;
    options.portable = how->portable;
    options.native = how->native;
    options.trust_kernels = how->trust;
    return squall_engine_open(path, &options, out, notes, err);
}
