/* cli/cli_release.h - what the files of squall release share. */
#ifndef SQ_CLI_CLI_RELEASE_H
#define SQ_CLI_CLI_RELEASE_H

#include "cli/cli.h"
#include "ops/repo/repo.h"

/** What the options said. */
typedef struct cli_release_request {
    const char *repository, *roots, *key, *head, *note, *socket, *steps;
    bool json, full;
} cli_release_request;

/** release log, release approve: on the repository alone; the exit code, or -1 for another verb. */
int cli_release_offline(const cli_release_request *want, const cli_list *rest);

/** All others: asked of a service; the exit code. */
int cli_release_online(const cli_release_request *want, const cli_list *rest);

#endif /* SQ_CLI_CLI_RELEASE_H */
