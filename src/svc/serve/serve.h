/* svc/serve/serve.h - the service: configuration in, forecasts for people and machines out. */
#ifndef SQ_SVC_SERVE_SERVE_H
#define SQ_SVC_SERVE_SERVE_H

#include <stdbool.h>

#include "base/base.h"

typedef struct sq_serve sq_serve;

/**
 * Start the service by the configuration at `path`.
 *
 * @param notes  what is wrong in the configuration
 * @return SQUALL_OK; what sq_config_read() gives; SQUALL_E_IO when an address cannot be listened at
 *         or the data folder not written.
 */
SQUALL_MUST_USE squall_status sq_serve_open(const char *path, sq_serve **out, squall_notes *notes,
                                            squall_error *err);
/** Serve until SIGTERM or SIGINT; SIGHUP reads the configuration again. */
void sq_serve_wait(sq_serve *serve);
/** Finish what runs and stop. */
void sq_serve_close(sq_serve **serve);
/** "http://127.0.0.1:43210": address `index`, or NULL past the last. */
const char *sq_serve_address(const sq_serve *serve, size_t index);

/** Check a configuration and what it names: engines that open, folders that are there.
 * @param notes  everything that is wrong */
SQUALL_MUST_USE squall_status sq_serve_check(const char *path, squall_notes *notes,
                                             squall_error *err);
/** A new key, 64 hexadecimal digits, and its hash as the configuration wants it; 65 bytes each. */
SQUALL_MUST_USE squall_status sq_serve_make_key(char *key, char *hash, squall_error *err);
/** The OpenAPI document as it is served at `base`; for those who want it without a server. */
void sq_serve_openapi(const char *base, sq_json *out);

/** Give up, for all threads and for good, the system calls that the service does not need. What is
 * refused from then on fails with EPERM and is written to stderr as a line of the log.
 * @return SQUALL_OK; SQUALL_E_UNSUPPORTED: the system or the processor has no such filter. */
SQUALL_MUST_USE squall_status sq_serve_confine(squall_error *err);

#endif /* SQ_SVC_SERVE_SERVE_H */
