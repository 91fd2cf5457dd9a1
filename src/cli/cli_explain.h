/* cli/cli_explain.h - what became of each node of a model, for people and for programs. */
#ifndef CLI_EXPLAIN_H
#define CLI_EXPLAIN_H

#include "cli/cli.h"
#include "squall/explain.h"

/** A line for each node, in the model's order. */
void cli_explain_print(const squall_explanation *explanation);
/** The same as an array of objects; given. */
json_t *cli_explain_json(const squall_explanation *explanation);

/** Make a folder, if it is not there. */
squall_status cli_folder_make(const char *path, squall_error *err);

#endif /* CLI_EXPLAIN_H */
