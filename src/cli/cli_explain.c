/* cli/cli_explain.c - what became of each node of a model, for people and for programs. */
#include "cli/cli_explain.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

static void print_fate(const squall_fate *fate)
{
    printf("  %s (%s): ", fate->node, fate->op);
    switch (fate->became) {
    case SQUALL_BECAME_STEP:
        printf("step %" PRId64 ", %s", fate->step, fate->tactic);
        break;
    case SQUALL_BECAME_FUSED:
        printf("fused into step %" PRId64 " '%s', %s", fate->step, fate->name, fate->tactic);
        break;
    case SQUALL_BECAME_VIEW:
        printf("view of the same memory, step %" PRId64, fate->step);
        break;
    default:
        printf("%s", squall_became_name(fate->became));
    }
    if (fate->steps > 1) {
        printf(" and %" PRIu32 " more", fate->steps - 1);
    }
    printf("%s%s\n", fate->why[0] != '\0' ? "; " : "", fate->why);
}

void cli_explain_print(const squall_explanation *explanation)
{
    for (size_t i = 0; i < squall_explanation_count(explanation); i++) {
        squall_fate fate;
        if (squall_explanation_get(explanation, i, &fate, NULL) == SQUALL_OK) {
            print_fate(&fate);
        }
    }
}

json_t *cli_explain_json(const squall_explanation *explanation)
{
    json_t *list = json_array();
    for (size_t i = 0; i < squall_explanation_count(explanation); i++) {
        squall_fate fate;
        if (squall_explanation_get(explanation, i, &fate, NULL) == SQUALL_OK) {
            json_array_append_new(list,
                                  json_pack("{s:o, s:s, s:s, s:I, s:I, s:o, s:s, s:o}", "node",
                                            cli_text(fate.node), "op", fate.op, "became",
                                            squall_became_name(fate.became), "step",
                                            (json_int_t)fate.step, "steps", (json_int_t)fate.steps,
                                            "name", cli_text(fate.name), "tactic", fate.tactic,
                                            "why", cli_text(fate.why)));
        }
    }
    return list;
}

squall_status cli_folder_make(const char *path, squall_error *err)
{
    if (mkdir(path, 0777) != 0 && errno != EEXIST) {
        return sq_fail(err, SQUALL_E_IO, path, "cannot be made a folder: %s", strerror(errno));
    }
    return SQUALL_OK;
}
