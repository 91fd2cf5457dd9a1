/* cli/cli_inspect.h - what an engine holds, as one document that every form is made from. */
#ifndef SQ_CLI_CLI_INSPECT_H
#define SQ_CLI_CLI_INSPECT_H

#include "cli/cli.h"
#include "cli/cli_engine.h"

/** Everything that is known of an engine's file; `*out` is given (json_decref). `notes` says which
 * plan this host would use, and why. */
SQUALL_MUST_USE squall_status cli_inspect_describe(const char *path, const cli_engine *how,
                                                   json_t **out, squall_notes *notes,
                                                   squall_error *err);

/** The document in words and tables, on stdout; `layers` and `memory`: those tables too. */
void cli_inspect_print(const json_t *document, bool layers, bool memory);

/** The document as one HTML page that needs nothing beside it; the file appears complete. */
SQUALL_MUST_USE squall_status cli_inspect_html(const json_t *document, const char *path,
                                               squall_error *err);

#endif /* SQ_CLI_CLI_INSPECT_H */
