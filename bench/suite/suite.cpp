// Runs rounds over all workloads and peers.
// SPDX-License-Identifier: Apache-2.0
#include "bench/suite/suite.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <unistd.h>

namespace bench
{

namespace
{

double median_of(std::vector<double> values)
{
    std::sort(values.begin(), values.end());
    std::size_t half = values.size() / 2;
    return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// A terminal gets one changing line, other outputs one line for each round.
void progress(const suite &all, std::size_t row, unsigned round, std::size_t column)
{
    bool terminal = isatty(STDERR_FILENO);
    std::size_t total = all.workloads.size() * all.rounds, done = row * all.rounds + round;
    if (terminal)
        std::fprintf(stderr, "\r[%3zu%%] %-14s round %u of %u  %-16s", done * 100 / total,
                     all.workloads[row]->name, round + 1, all.rounds, all.peers[column]->name);
    else if (column == 0)
        std::fprintf(stderr, "[%3zu%%] %s, round %u of %u\n", done * 100 / total,
                     all.workloads[row]->name, round + 1, all.rounds);
}

} // namespace

double cell::median() const { return median_of(values); }

double cell::least() const { return *std::min_element(values.begin(), values.end()); }

double cell::most() const { return *std::max_element(values.begin(), values.end()); }

void suite::run_round(std::size_t row, unsigned round)
{
    for (std::size_t column = 0; column < peers.size(); column++) {
        cell &it = cells[row][column];
        if (it.state != status::measured || it.cut || it.over || it.spent_ns > size.limit_ns)
            continue;
        progress(*this, row, round, column);
        std::uint64_t begin = now_ns();
        result got = run_apart(*peers[column], *workloads[row], size, round + 1);
        it.spent_ns += now_ns() - begin;
        it.state = got.state;
        it.reason = got.reason;
        it.cut = got.figure.cut;
        if (got.state == status::measured)
            it.values.push_back(got.figure.value);
    }
}

const cell *suite::reference(std::size_t row) const
{
    for (std::size_t i = 0; i < peers.size(); i++)
        if (std::strcmp(peers[i]->name, reference_peer) == 0)
            return &cells[row][i];
    return nullptr;
}

void suite::end_slow_ones(std::size_t row)
{
    constexpr std::uint64_t times = 4;
    const cell *scale = reference(row);
    for (cell &it : cells[row])
        it.over = scale != nullptr && scale->has_figure() && it.spent_ns > times * scale->spent_ns;
}

void suite::run_row(std::size_t row)
{
    constexpr unsigned rounds_least = 3;
    const workload &what = *workloads[row];
    unsigned most = what.kind == quantity::ns ? rounds : 1;
    if (what.prepare != nullptr)
        what.prepare(what);
    for (unsigned round = 0; round < most && round < rounds_least; round++)
        run_round(row, round);
    end_slow_ones(row);
    std::uint64_t begin = now_ns();
    for (unsigned round = rounds_least; round < most && now_ns() - begin < size.row_ns; round++)
        run_round(row, round);
}

void suite::run()
{
    cells.assign(workloads.size(), std::vector<cell>(peers.size()));
    for (std::size_t row = 0; row < workloads.size(); row++)
        run_row(row);
    if (isatty(STDERR_FILENO))
        std::fprintf(stderr, "\r%-70s\r", "");
}

// A peer that ends does not resume, so equal indices are of equal rounds.
double suite::ratio(std::size_t row, std::size_t column) const
{
    const cell *theirs = reference(row), &mine = cells[row][column];
    if (theirs == nullptr || !theirs->has_figure() || !mine.has_figure())
        return 0;
    std::vector<double> ratios;
    for (std::size_t i = 0; i < theirs->values.size() && i < mine.values.size(); i++)
        ratios.push_back(workloads[row]->kind == quantity::percent
                             ? mine.values[i] / theirs->values[i]
                             : theirs->values[i] / mine.values[i]);
    return median_of(ratios);
}

bool suite::failed() const
{
    for (const auto &row : cells)
        for (const cell &it : row)
            if (it.state == status::failed)
                return true;
    return false;
}

} // namespace bench
