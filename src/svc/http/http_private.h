/* svc/http/http_private.h - what the files of the room share. */
#ifndef SQ_SVC_HTTP_HTTP_PRIVATE_H
#define SQ_SVC_HTTP_HTTP_PRIVATE_H

#include <microhttpd.h>

#include "svc/http/http.h"

/** A response of libmicrohttpd that streams the events of `hub`, from the one after `last_id` on
 * (0: only new ones); NULL without memory. */
struct MHD_Response *sq_http_hub_response(sq_http_hub *hub, struct MHD_Connection *connection,
                                          uint64_t last_id);

/** A socket that listens at `listen`; `address` gets what clients call it. */
SQUALL_MUST_USE squall_status sq_http_listen(const char *listen, int *fd, char *address,
                                             size_t address_size, squall_error *err);

#endif /* SQ_SVC_HTTP_HTTP_PRIVATE_H */
