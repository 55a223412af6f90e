// start.h: what has to be so before the program starts.
// SPDX-License-Identifier: Apache-2.0
#ifndef BENCH_START_H
#define BENCH_START_H

namespace bench
{

// Starts the program once more, with room for libraries that are loaded late: jemalloc keeps more for each thread than
// a program leaves free for those, unless the loader is told before. Returns in the second program, or where that cannot be.
void start_again_with_tls(char **argv);

} // namespace bench

#endif
