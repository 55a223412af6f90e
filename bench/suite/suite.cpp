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
void progress(const suite &all, std::size_t row, unsigned round, std::size_t column, pass how)
{
    bool terminal = isatty(STDERR_FILENO);
    std::size_t percent = row * 100 / all.rows.size();
    std::string name = std::string(all.rows[row].what->name) + ", " + all.rows[row].heap->name;
    const char *kind = how == pass::whole ? "round" : "single calls, pass";
    if (terminal)
        std::fprintf(stderr, "\r[%3zu%%] %-19s %s %u  %-16s   ", percent, name.c_str(), kind,
                     round + 1, all.peers[column]->name);
    else if (column == 0)
        std::fprintf(stderr, "[%3zu%%] %s, %s %u\n", percent, name.c_str(), kind, round + 1);
}

template <class Figure>
double median_by(const std::vector<latency> &calls, Figure figure)
{
    std::vector<double> values;
    for (const latency &it : calls)
        values.push_back(it.*figure);
    return median_of(values);
}

} // namespace

double cell::median() const { return median_of(values); }

double cell::least() const { return *std::min_element(values.begin(), values.end()); }

double cell::most() const { return *std::max_element(values.begin(), values.end()); }

latency cell::call_median() const
{
    return {median_by(calls, &latency::median), median_by(calls, &latency::most_999),
            median_by(calls, &latency::most)};
}

void suite::run_once(std::size_t row, std::size_t column, unsigned round, pass how)
{
    cell &it = cells[row][column];
    std::uint64_t begin = now_ns();
    result got = run_apart(*peers[column], *rows[row].what, size, *rows[row].heap, round + 1, how);
    it.spent_ns += now_ns() - begin;
    if (how == pass::calls && got.state == status::unavailable)
        return; // too slow with the clock around each call: keeps the figure of the rounds
    it.state = got.state;
    it.reason = got.reason;
    if (got.state != status::measured)
        return;
    versions[column] = got.version;
    if (how == pass::calls) {
        it.calls.push_back(got.figure.calls);
    } else {
        it.values.push_back(got.figure.value);
        it.cut = got.figure.cut;
    }
}

void suite::run_round(std::size_t row, unsigned round, pass how)
{
    for (std::size_t column = 0; column < peers.size(); column++) {
        const cell &it = cells[row][column];
        if (it.state != status::measured || it.cut || it.over || it.spent_ns > size.limit_ns)
            continue;
        progress(*this, row, round, column, how);
        run_once(row, column, round, how);
    }
}

const cell *suite::of_peer(std::size_t row, const char *peer) const
{
    for (std::size_t i = 0; i < peers.size(); i++)
        if (std::strcmp(peers[i]->name, peer) == 0)
            return &cells[row][i];
    return nullptr;
}

void suite::end_slow_ones(std::size_t row)
{
    constexpr std::uint64_t times = 4;
    const cell *scale = of_peer(row, reference_peer);
    for (cell &it : cells[row])
        it.over = scale != nullptr && scale->has_figure() && it.spent_ns > times * scale->spent_ns;
}

void suite::run_row(std::size_t row)
{
    constexpr unsigned rounds_least = 3, passes = 3;
    const workload &what = *rows[row].what;
    unsigned most = what.kind == quantity::ns ? rounds : 1;
    if (what.prepare != nullptr)
        what.prepare(what);
    for (unsigned round = 0; round < most && round < rounds_least; round++)
        run_round(row, round, pass::whole);
    end_slow_ones(row);
    std::uint64_t begin = now_ns();
    for (unsigned round = rounds_least; round < most && now_ns() - begin < size.row_ns; round++)
        run_round(row, round, pass::whole);
    if (what.calls)
        for (unsigned round = 0; round < std::min(rounds, passes); round++)
            run_round(row, round, pass::calls);
}

void suite::run()
{
    cells.assign(rows.size(), std::vector<cell>(peers.size()));
    versions.assign(peers.size(), "");
    for (std::size_t row = 0; row < rows.size(); row++)
        run_row(row);
    if (isatty(STDERR_FILENO))
        std::fprintf(stderr, "\r%-70s\r", "");
}

// A peer that ends does not resume, so equal indices are of equal rounds.
double suite::ratio(std::size_t row, const char *peer, const char *other) const
{
    const cell *mine = of_peer(row, peer), *theirs = of_peer(row, other);
    if (mine == nullptr || theirs == nullptr || !mine->has_figure() || !theirs->has_figure())
        return 0;
    std::vector<double> ratios;
    for (std::size_t i = 0; i < theirs->values.size() && i < mine->values.size(); i++)
        ratios.push_back(mine->values[i] / theirs->values[i]);
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
