// suite.h: all figures of a run.
// SPDX-License-Identifier: Apache-2.0
#ifndef BENCH_SUITE_H
#define BENCH_SUITE_H

#include "bench/runner.h"

namespace bench
{

// All figures of one peer at one workload.
struct cell {
    std::vector<double> values; // one a round
    std::uint64_t spent_ns = 0; // on all rounds
    bool cut = false;           // measured in one round only, which was too slow to be finished
    bool over = false;          // no more rounds
    status state = status::measured;
    std::string reason;

    bool has_figure() const { return !values.empty() && state == status::measured; }
    double median() const;
    double least() const;
    double most() const;
};

struct suite {
    std::string scale_name;
    scale size;
    unsigned rounds;
    std::vector<const peer_entry *> peers;
    std::vector<const workload *> workloads;
    std::vector<std::vector<cell>> cells; // [workload][peer]

    // Rounds go over all peers, A B C A B C: what disturbs the machine for a while disturbs them alike. What is no time
    // repeats, and is measured once.
    void run();
    // How many times as good as the reference peer: as fast, as full, as small. The median of the rounds' ratios, since a round that came
    // in a slow minute was slow for both. 0 where there is no saying.
    double ratio(std::size_t row, std::size_t column) const;
    bool failed() const;
    // After the first rounds: who took several times as long as the reference for them has no more, and leaves the time to the others.
    void end_slow_ones(std::size_t row);

private:
    const cell *reference(std::size_t row) const; // nullptr: it is not among the peers
    void run_row(std::size_t row);
    void run_round(std::size_t row, unsigned round);
};

} // namespace bench

#endif
