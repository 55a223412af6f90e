/* serve.c: shmheap serve shows the heaps of this machine in a browser, as they change.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "tools/shmheap/commands/commands.h"
#include "tools/shmheap/serve/serve.h"
#include "tools/shmheap/command_line/say.h"

enum { DEFAULT_PORT = 8474, PROBE_MS = 50, IDLE_MS = 10000, IDLE_WAIT_MS = 1000 };

static volatile sig_atomic_t must_end;

static void end(int signal)
{
    (void)signal;
    must_end = 1;
}

uint64_t serve_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void serve_sample(struct server *server)
{
    server->failed |= live_update(&server->live);
    server->sampled_ms = serve_now_ms();
    server->samples++;
}

/* Blocks the signals that end the server, but for the waits of web_run, which get *waiting. */
static void signals_prepare(sigset_t *waiting)
{
    sigset_t ends;
    struct sigaction action = {.sa_handler = end};
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, waiting);
    sigdelset(waiting, SIGINT);
    sigdelset(waiting, SIGTERM);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* Between requests: samples and probes, as long as a page is open somewhere. Returns how long to
 * wait for a request, in milliseconds. */
static int watch(struct server *server)
{
    uint64_t now = serve_now_ms();
    if (server->sampled_ms == 0)
        return IDLE_WAIT_MS;
    if (now - server->wanted_ms > IDLE_MS + server->interval_ms) {
        server->sampled_ms = 0;
        data_forget(server);
        return IDLE_WAIT_MS;
    }
    if (now - server->probed_ms >= PROBE_MS) {
        live_probe(&server->live);
        server->probed_ms = now;
    }
    if (now - server->sampled_ms >= server->interval_ms)
        serve_sample(server);
    return PROBE_MS;
}

static void say_ready(const struct server *server, int socket, unsigned port)
{
    printf("http://%s:%u/ shows %s; Ctrl+C ends it\n", socket_host(socket), port,
           server->live.names ? "these heaps" : "the heaps of this machine");
    fflush(stdout);
}

static int serve(struct server *server, unsigned port)
{
    struct web web = {.count = 0};
    int sockets[SOCKETS], count;
    sigset_t waiting;
    signals_prepare(&waiting);
    int status = live_update(&server->live);
    if (!status)
        status = sockets_open(&port, sockets, &count);
    if (status)
        return status;
    if (web_start(&web, sockets, count, server))
        status = fail("cannot start the server of HTTP; is there too little memory?");
    else
        say_ready(server, *sockets, port);
    while (!must_end && !status && !server->failed)
        web_run(&web, watch(server), &waiting);
    web_stop(&web);
    return status ? status : server->failed;
}

static int serve_run(const struct command *command, int argc, char **argv)
{
    static struct server server = {.interval_ms = 1000};
    uint64_t port = DEFAULT_PORT;
    const struct args_option options[] = {
        {ARGS_NUMBER, 'p', "port", &port, 0, 65535, NULL},
        {ARGS_NUMBER, 'i', "interval", &server.interval_ms, 100, 60000, NULL},
        {.kind = ARGS_FLAG, .letter = 'f', .name = "file", .to = &server.live.is_file},
        {0}};
    int got = args_parse(command, argc, argv, options);
    if (got)
        return args_status(got);
    server.live.name_count = argc - optind;
    server.live.names = server.live.name_count ? argv + optind : NULL;
    if (server.live.is_file && !server.live.names)
        return wrong_usage("--file needs the path of a heap");
    int status = serve(&server, (unsigned)port);
    data_forget(&server);
    live_free(&server.live);
    return status;
}

const struct command command_serve = {
    "serve",
    "show heaps as they change in a browser",
    "usage: shmheap serve [--port N] [--interval MS] [--file] [NAME...]\n"
    "\n"
    "Serves a page that shows the heaps in shared memory that you may read, or those\n"
    "named: what shmheap top shows, charts over time, and of each heap its map, its\n"
    "processes and the sizes of its blocks. It prints the page's address. It connects\n"
    "read-only, changes nothing, and needs no network.\n"
    "\n"
    "Only this machine can reach the page: the server listens at 127.0.0.1 and ::1.\n"
    "But each user of the machine can, and sees sizes, names and processes of heaps\n"
    "that you may read; contents are never shown. For another machine, use a tunnel:\n"
    "ssh -L 8474:127.0.0.1:8474 HOST.\n"
    "\n"
    "  -p, --port N       the port (default: 8474); 0: any free one\n"
    "  -i, --interval MS  milliseconds between samples, 100 to 60000 (default: 1000)\n"
    "  -f, --file         NAME is the path of a file, not a name in shared memory\n"
    "      --help         print this text\n"
    "\n"
    "Programs read /api/heaps and /api/heap?name=NAME: JSON, as docs/tool.md lists it.\n"
    "While no page is open, the server takes no samples.\n"
    "\n"
    "Exit status: 0 ended by Ctrl+C or SIGTERM; 1 a heap could not be opened, or the\n"
    "port is in use; 2 wrong usage.\n"
    "\n"
    "Examples:\n"
    "  shmheap serve\n"
    "  shmheap serve --port 0 orders\n",
    serve_run,
};
