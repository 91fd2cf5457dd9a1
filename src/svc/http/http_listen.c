/* svc/http/http_listen.c - sockets that listen. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "svc/http/http_private.h"

enum { BACKLOG = 1024 };

static squall_status fail_errno(const char *listen_at, const char *what, int fd, squall_error *err)
{
    const int reason = errno;
    if (fd >= 0) {
        close(fd);
    }
    return sq_fail(err, SQUALL_E_IO, listen_at, "%s: %s", what, strerror(reason));
}

static squall_status listen_unix(const char *path, int *out, squall_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        return sq_fail(err, SQUALL_E_ARGUMENT, path,
                       "the path of a Unix socket has at most %zu "
                       "bytes",
                       sizeof address.sun_path - 1);
    }
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    struct stat old;
    if (lstat(path, &old) == 0 && S_ISSOCK(old.st_mode)) {
        unlink(path); /* left behind by a server that was killed */
    }
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return fail_errno(path, "no socket", fd, err);
    }
    const mode_t mask = umask(0117); /* owner and group alone */
    const int bound = bind(fd, (const struct sockaddr *)&address, sizeof address);
    umask(mask);
    if (bound != 0 || listen(fd, BACKLOG) != 0) {
        return fail_errno(path, "cannot listen", fd, err);
    }
    *out = fd;
    return SQUALL_OK;
}

static squall_status listen_tcp(const char *host, const char *port, int *out, squall_error *err)
{
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (getaddrinfo(host[0] != '\0' ? host : NULL, port, &hints, &found) != 0) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "listen",
                       "'%s' port '%s' is no numeric address such as 127.0.0.1:8080, [::]:8080 or "
                       "unix:/run/squall/socket",
                       host, port);
    }
    const int one = 1;
    const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        freeaddrinfo(found);
        return fail_errno(port, "cannot listen on this port", fd, err);
    }
    freeaddrinfo(found);
    *out = fd;
    return SQUALL_OK;
}

/* "http://127.0.0.1:43210": the port is the one that the system chose for 0. */
static void name_address(int fd, char *address, size_t size)
{
    struct sockaddr_storage own;
    socklen_t length = sizeof own;
    char host[64] = "", port[16] = "";
    memset(&own, 0, sizeof own);
    if (getsockname(fd, (struct sockaddr *)&own, &length) == 0) {
        getnameinfo((struct sockaddr *)&own, length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV);
    }
    const bool wide = own.ss_family == AF_INET6;
    snprintf(address, size, "http://%s%s%s:%s", wide ? "[" : "", host, wide ? "]" : "", port);
}

squall_status sq_http_listen(const char *listen, int *fd, char *address, size_t address_size,
                             squall_error *err)
{
    char host[64];
    if (strncmp(listen, "unix:", 5) == 0) {
        snprintf(address, address_size, "%s", listen);
        return listen_unix(listen + 5, fd, err);
    }
    const char *colon = strrchr(listen, ':');
    const bool bracket = listen[0] == '[';
    if (colon == NULL || (size_t)(colon - listen) >= sizeof host || colon[1] == '\0' ||
        (bracket && (colon == listen + 1 || colon[-1] != ']'))) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "listen",
                       "'%s' is no address such as 127.0.0.1:8080, [::]:8080 or "
                       "unix:/run/squall/socket",
                       listen);
    }
    snprintf(host, sizeof host, "%.*s", (int)(colon - listen - (bracket ? 2 : 0)),
             listen + (bracket ? 1 : 0));
    SQ_TRY(listen_tcp(host, colon + 1, fd, err));
    name_address(*fd, address, address_size);
    return SQUALL_OK;
}
