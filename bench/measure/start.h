// start.h: restarts the program with settings that the loader reads at its start.
// SPDX-License-Identifier: Apache-2.0
#ifndef BENCH_START_H
#define BENCH_START_H

namespace bench
{

// Restarts the program with more static thread-local storage. jemalloc, which is loaded late, needs
// more than the loader keeps free by default. Returns in the restarted program, or if exec fails.
void start_again_with_tls(char **argv);

} // namespace bench

#endif
