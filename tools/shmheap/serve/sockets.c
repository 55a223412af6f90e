/* sockets.c: the sockets of shmheap serve. Only processes of this machine can reach them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/shmheap/serve/serve.h"
#include "tools/shmheap/command_line/say.h"

enum { BACKLOG = 64 };

union address {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
};

static socklen_t address_set(union address *address, int family, unsigned port)
{
    memset(address, 0, sizeof *address);
    if (family == AF_INET) {
        address->four.sin_family = AF_INET;
        address->four.sin_port = htons((uint16_t)port);
        address->four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return sizeof address->four;
    }
    address->six.sin6_family = AF_INET6;
    address->six.sin6_port = htons((uint16_t)port);
    address->six.sin6_addr = in6addr_loopback;
    return sizeof address->six;
}

/* Returns a socket, or -1 with errno. Sets *port to the socket's. */
static int listen_at(int family, unsigned *port)
{
    union address address;
    socklen_t len = address_set(&address, family, *port);
    int on = 1, fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    /* A server that was ended a moment ago leaves connections that would keep the port. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) || bind(fd, &address.any, len) ||
        listen(fd, BACKLOG) || getsockname(fd, &address.any, &len)) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    *port = ntohs(family == AF_INET ? address.four.sin_port : address.six.sin6_port);
    return fd;
}

const char *socket_host(int socket)
{
    union address address = {.any.sa_family = AF_UNSPEC};
    socklen_t len = sizeof address;
    int is_six = getsockname(socket, &address.any, &len) == 0 && address.any.sa_family == AF_INET6;
    return is_six ? "[::1]" : "127.0.0.1";
}

/* Whether this machine has no address of that family. */
static int is_absent(int error)
{
    return error == EAFNOSUPPORT || error == EADDRNOTAVAIL || error == EPROTONOSUPPORT;
}

static int refuse(unsigned port)
{
    if (errno == EADDRINUSE)
        return fail("port %u is in use; choose another one with --port, or any free one with "
                    "--port 0",
                    port);
    if (errno == EACCES)
        return fail("no permission for port %u; choose one from 1024 on with --port", port);
    return fail("cannot listen on port %u of this machine: %s", port, strerror(errno));
}

int sockets_open(unsigned *port, int sockets[SOCKETS], int *count)
{
    static const int families[SOCKETS] = {AF_INET, AF_INET6};
    int is_any = *port == 0, error = 0;
    *count = 0;
    for (int i = 0; i < SOCKETS; i++) {
        int fd = listen_at(families[i], port);
        if (fd >= 0) {
            sockets[(*count)++] = fd;
            continue;
        }
        error = errno;
        /* The printed address has the first socket, so --port 0 does without the second one. */
        if (is_absent(error) || (is_any && *count && error == EADDRINUSE))
            continue;
        break;
    }
    if (*count && (error == 0 || is_absent(error) || is_any))
        return 0;
    while (*count)
        close(sockets[--*count]);
    errno = error;
    return refuse(*port);
}
