// report.h: prints the figures as tables and writes them as JSON.
// SPDX-License-Identifier: Apache-2.0
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "bench/suite/suite.h"

namespace bench
{

// Pairs of peers whose times a run compares, the second being the bar.
struct comparison {
    const char *peer, *bar;
};
constexpr comparison comparisons[] = {{"shmheap", "tlsf"}, {"shmheap-cached", "mimalloc"}};

using machine_text = std::vector<std::pair<std::string, std::string>>;

void report_table(const suite &all, const machine_text &machine, std::FILE *out);
// "median/99.9 %/longest" of single calls, in whole ns.
std::string latency_text(const latency &calls);
// Returns false, with errno, if the file cannot be written.
bool report_json(const suite &all, const machine_text &machine, const std::string &path);

} // namespace bench

#endif
