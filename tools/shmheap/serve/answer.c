/* answer.c: HTTP for shmheap serve.
 *
 * The page is for browsers of this machine. A web page of another site must not read it: a browser
 * keeps the answers from other origins, and a site that gives its own name the address 127.0.0.1
 * (DNS rebinding) sends that name as Host, which is refused.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <microhttpd.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tools/shmheap/serve/serve.h"

enum {
    MOST_CONNECTIONS = 32,   /* for each socket */
    CONNECTION_ROOM = 32768, /* bytes for a request's line and headers */
    IDLE_SECONDS = 10        /* a connection without a byte for so long is closed */
};

/* struct answer is what a request gets. */
struct answer {
    unsigned status;
    const char *type;
    const char *text;
    size_t len;
    int is_allocated; /* text is freed */
};

static const char *const headers[][2] = {
    {"Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; "
                                "img-src 'self'; connect-src 'self'; base-uri 'none'; "
                                "form-action 'none'; frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cache-Control", "no-store"},
};

static enum MHD_Result send_answer(struct MHD_Connection *connection, const struct answer *answer)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        answer->len, (void *)answer->text,
        answer->is_allocated ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (!response) {
        if (answer->is_allocated)
            free((void *)answer->text);
        return MHD_NO;
    }
    MHD_add_response_header(response, "Content-Type", answer->type);
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        MHD_add_response_header(response, headers[i][0], headers[i][1]);
    if (answer->status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, "Allow", "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, answer->status, response);
    MHD_destroy_response(response);
    return result;
}

static struct answer answer_text(unsigned status, const char *text)
{
    struct answer answer = {status, "text/plain; charset=utf-8", text, strlen(text), 0};
    return answer;
}

static struct answer answer_json(unsigned status, char *text)
{
    if (!text)
        return answer_text(MHD_HTTP_INTERNAL_SERVER_ERROR, "no memory\n");
    struct answer answer = {status, "application/json", text, strlen(text), 1};
    return answer;
}

/* NAME or NAME:PORT, where NAME means this machine in every browser. The port may be another one
 * than the socket's: that of a tunnel. */
static int host_is_local(const char *host)
{
    static const char *const names[] = {"127.0.0.1", "localhost", "[::1]"};
    for (size_t i = 0; host && i < sizeof names / sizeof *names; i++) {
        size_t len = strlen(names[i]);
        if (strncasecmp(host, names[i], len) != 0)
            continue;
        if (host[len] == '\0')
            return 1;
        return host[len] == ':' && host[len + 1 + strspn(host + len + 1, "0123456789")] == '\0';
    }
    return 0;
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static enum MHD_Result count_host(void *context, enum MHD_ValueKind kind, const char *name,
                                  const char *value)
{
    (void)kind;
    (void)value;
    *(int *)context += strcasecmp(name, "Host") == 0;
    return MHD_YES;
}

/* A proxy between may have judged another Host than this server does (RFC 9112, 3.2). */
static int has_two_hosts(struct MHD_Connection *connection)
{
    int count = 0;
    MHD_get_connection_values(connection, MHD_HEADER_KIND, count_host, &count);
    return count > 1;
}

/* Whether the request is refused before its path counts. */
static int refused(struct MHD_Connection *connection, const char *method, struct answer *answer)
{
    const char *len = header(connection, "Content-Length");
    if (has_two_hosts(connection))
        *answer = answer_text(MHD_HTTP_BAD_REQUEST, "A request must have one Host.\n");
    else if (!host_is_local(header(connection, "Host")))
        *answer = answer_text(MHD_HTTP_FORBIDDEN,
                              "This server answers to localhost, 127.0.0.1 and [::1] only.\n");
    else if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        *answer = answer_text(MHD_HTTP_METHOD_NOT_ALLOWED,
                              "This server changes nothing: GET and HEAD only.\n");
    else if ((len && strcmp(len, "0") != 0) || header(connection, "Transfer-Encoding"))
        *answer = answer_text(MHD_HTTP_BAD_REQUEST, "A request must have no body.\n");
    else
        return 0;
    return 1;
}

static struct answer answer_path(struct server *server, struct MHD_Connection *connection,
                                 const char *path)
{
    const struct page_file *file = page_file_find(path);
    if (file) {
        struct answer answer = {MHD_HTTP_OK, file->type, file->text, file->len, 0};
        return answer;
    }
    if (!strcmp(path, "/api/heaps")) {
        char *text = data_heaps(server);
        return answer_json(MHD_HTTP_OK, text);
    }
    if (!strcmp(path, "/api/heap")) {
        const char *label = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "name");
        unsigned status = MHD_HTTP_BAD_REQUEST;
        char *text = label ? data_heap(server, label, &status)
                           : data_error("the address needs a heap: /api/heap?name=NAME");
        return answer_json(status, text);
    }
    return answer_text(MHD_HTTP_NOT_FOUND, "There is no such page; the first one is /.\n");
}

/* libmicrohttpd calls it once with the headers, and again when the request is complete. */
static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *body,
                              size_t *body_len, void **request)
{
    static int seen;
    struct answer answer;
    (void)version;
    (void)body;
    if (*body_len)
        return MHD_NO;
    if (*request == NULL) {
        *request = &seen;
        return refused(connection, method, &answer) ? send_answer(connection, &answer) : MHD_YES;
    }
    answer = answer_path(context, connection, path);
    return send_answer(connection, &answer);
}

int web_start(struct web *web, const int *sockets, int count, struct server *server)
{
    web->count = count;
    for (int i = 0; i < count; i++) {
        web->daemons[i] =
            MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, handle, server, MHD_OPTION_LISTEN_SOCKET,
                             sockets[i], MHD_OPTION_CONNECTION_LIMIT, (unsigned)MOST_CONNECTIONS,
                             MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_ROOM,
                             MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
                             MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
        if (!web->daemons[i])
            return -1;
    }
    return 0;
}

void web_run(struct web *web, int ms, const sigset_t *signals)
{
    struct pollfd waits[SOCKETS];
    for (int i = 0; i < web->count; i++) {
        const union MHD_DaemonInfo *info =
            MHD_get_daemon_info(web->daemons[i], MHD_DAEMON_INFO_EPOLL_FD);
        MHD_UNSIGNED_LONG_LONG least; /* 0: a connection has more to do */
        waits[i] = (struct pollfd){.fd = info ? info->epoll_fd : -1, .events = POLLIN};
        if (MHD_get_timeout(web->daemons[i], &least) == MHD_YES && least < (unsigned)ms)
            ms = (int)least;
    }
    const struct timespec pause = {ms / 1000, ms % 1000 * 1000000L};
    ppoll(waits, (nfds_t)web->count, &pause, signals);
    for (int i = 0; i < web->count; i++)
        MHD_run(web->daemons[i]);
}

void web_stop(struct web *web)
{
    for (int i = 0; i < web->count; i++)
        if (web->daemons[i])
            MHD_stop_daemon(web->daemons[i]);
}
