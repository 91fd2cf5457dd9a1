/* svc/config/config_private.h - what the files of the room share. */
#ifndef SQ_SVC_CONFIG_CONFIG_PRIVATE_H
#define SQ_SVC_CONFIG_CONFIG_PRIVATE_H

#include "svc/config/config.h"

/** Hold the sections against one another; what is wrong goes to `problems`. */
void sq_config_check(const sq_config *config, squall_notes *problems);

/** One line of `problems`: "squall.ini:12: [region nl] radar: text". */
void sq_config_problem(squall_notes *problems, const sq_config *config, int line,
                       const char *section, const char *key, const char *text);

#endif /* SQ_SVC_CONFIG_CONFIG_PRIVATE_H */
