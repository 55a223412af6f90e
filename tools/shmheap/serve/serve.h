/* serve.h: the parts of shmheap serve, a page that shows heaps as they change.
 *
 *   serve.c      the command and its loop: samples, probes, requests
 *   sockets.c    the sockets: 127.0.0.1 and ::1
 *   answer.c     HTTP, by libmicrohttpd: which requests are refused, headers, paths
 *   data.c       the data as JSON
 *   files.c      the files of the page, in the program
 *   absent.c     the command of a tool that was built without libmicrohttpd
 *   page/        the page, its scripts, its style
 *   vendor/      uPlot, which draws the charts over time; README.md tells its version
 *
 * One thread does everything. Each request gets what the last sample has; only the map is read for
 * a request, and not more often than data.c allows. The heaps are opened read-only.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_SERVE_H
#define SHMHEAP_TOOL_SERVE_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/shmheap/live/live.h"

enum { SOCKETS = 2, DETAILS = 32 };

/* struct detail is the answer about one heap, kept for a while. */
struct detail {
    char *label; /* of the heap, escaped; NULL: unused */
    char *text;
    unsigned status;           /* of HTTP */
    uint64_t read_ms, cost_ms; /* when it was read, how long that took */
    uint64_t wanted_ms;        /* the last request for it */
};

struct server {
    struct live live;
    uint64_t interval_ms;
    uint64_t sampled_ms; /* the last sample; 0: none since the server was idle */
    uint64_t samples;    /* how many were taken: the page tells a new one by it */
    uint64_t wanted_ms;  /* the last request for data */
    uint64_t probed_ms;  /* the last probe */
    int failed;          /* a sample failed: the server ends */
    struct detail details[DETAILS];
};

uint64_t serve_now_ms(void); /* monotonic */

/* serve_sample takes a sample of the heaps. */
void serve_sample(struct server *server);

/* sockets_open listens on port, or on any port if it is 0, at 127.0.0.1 and, where this machine has
 * it, at ::1. It sets *count sockets and *port. Returns 0, or STATUS_FAILED after printing the
 * error. */
int sockets_open(unsigned *port, int sockets[SOCKETS], int *count);

/* socket_host is the host of a socket's address, as a URL has it: 127.0.0.1 or [::1]. */
const char *socket_host(int socket);

/* struct web is the servers of HTTP, one for each socket. */
struct web {
    struct MHD_Daemon *daemons[SOCKETS];
    int count;
};

/* web_start takes the sockets over. Returns 0, or -1 if there is no memory. */
int web_start(struct web *web, const int *sockets, int count, struct server *server);

/* web_run waits until there are requests, a signal comes, or ms milliseconds have passed, and
 * answers the requests. Signals of *signals reach the program during the wait only. */
void web_run(struct web *web, int ms, const sigset_t *signals);
void web_stop(struct web *web);

/* These return JSON, which the caller frees; NULL without memory. data_heap sets the status of
 * HTTP; label is the heap's name as escape_printable writes it. */
char *data_heaps(struct server *server);
char *data_heap(struct server *server, const char *label, unsigned *status);
char *data_error(const char *reason);
void data_forget(struct server *server); /* frees the answers that were kept */

/* struct page_file is a file of the page. */
struct page_file {
    const char *path; /* of its URL */
    const char *type;
    const char *text;
    size_t len;
};

/* page_file_find returns NULL if there is none. */
const struct page_file *page_file_find(const char *path);

#endif
