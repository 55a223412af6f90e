// machine.h: describes the machine of a measurement.
// SPDX-License-Identifier: Apache-2.0
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <string>
#include <utility>
#include <vector>

namespace bench
{

// Pairs of a name and a text: processor, cores, kernel, compiler and so on.
std::vector<std::pair<std::string, std::string>> machine_describe();

} // namespace bench

#endif
