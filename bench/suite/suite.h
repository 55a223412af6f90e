// suite.h: the figures of a run.
// SPDX-License-Identifier: Apache-2.0
#ifndef BENCH_SUITE_H
#define BENCH_SUITE_H

#include "bench/suite/runner.h"

namespace bench
{

// The figures of one peer for one row.
struct cell {
    std::vector<double> values; // one for each round
    std::vector<latency> calls; // one for each pass over single calls
    std::uint64_t spent_ns = 0; // in all rounds
    bool cut = false;           // the time limit ended its only round
    bool over = false;          // gets no more rounds
    status state = status::measured;
    std::string reason;

    bool has_figure() const { return !values.empty() && state == status::measured; }
    double median() const;
    double least() const;
    double most() const;
    latency call_median() const; // of each of its figures
};

// A workload in heaps of one size.
struct row {
    const workload *what;
    const heap_size *heap;
};

struct suite {
    std::string scale_name;
    scale size;
    unsigned rounds;
    std::vector<const peer_entry *> peers;
    std::vector<row> rows;
    std::vector<std::vector<cell>> cells = {}; // [row][peer]
    std::vector<std::string> versions = {};    // [peer]; empty: unknown

    // Interleaves the peers, A B C A B C, so that a disturbance of the machine affects all peers.
    // Figures other than times repeat exactly and are measured once. Times of single calls come
    // from passes of their own, after the rounds.
    void run();
    // How many times another peer's figure a peer's is. It is the median of the rounds' ratios,
    // since a disturbance slows both peers of a round. 0 if there is no ratio.
    double ratio(std::size_t row, const char *peer, const char *other) const;
    bool failed() const;
    // Called after the first rounds: a peer that took several times as long as the reference gets
    // no more rounds.
    void end_slow_ones(std::size_t row);

private:
    const cell *of_peer(std::size_t row, const char *peer) const; // nullptr: not among the peers
    void run_row(std::size_t row);
    void run_round(std::size_t row, unsigned round, pass how);
    void run_once(std::size_t row, std::size_t column, unsigned round, pass how);
};

} // namespace bench

#endif
