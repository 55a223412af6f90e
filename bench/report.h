// report.h: figures for people and for programs.
// SPDX-License-Identifier: Apache-2.0
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "bench/suite.h"

namespace bench
{

using machine_text = std::vector<std::pair<std::string, std::string>>;

void report_table(const suite &all, const machine_text &machine, std::FILE *out);
// False, with errno, when the file could not be written.
bool report_json(const suite &all, const machine_text &machine, const std::string &path);

} // namespace bench

#endif
