// The medians and ratios of the rounds' figures.
// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstdio>

#include "bench/workloads/scales.h"
#include "bench/suite/suite.h"

namespace
{

const bench::peer_entry reference = {bench::reference_peer, "", 0, nullptr},
                        other = {"other", "", 0, nullptr}, slow = {"slow", "", 0, nullptr};
const bench::workload time_taken = {"time", "", "", 0, 0, {0, 0}, 1, nullptr, bench::quantity::ns},
                      room = {"room", "", "", 0, 0, {0, 0}, 1, nullptr, bench::quantity::percent};

bench::cell cell_of(std::vector<double> values, std::uint64_t spent_ns)
{
    bench::cell it;
    it.values = values;
    it.spent_ns = spent_ns;
    return it;
}

bench::suite suite_of(std::vector<const bench::peer_entry *> peers,
                      std::vector<std::vector<bench::cell>> cells)
{
    const bench::heap_size *heap = &bench::heap_sizes().front();
    return {"test", bench::tiny_scale, 5, peers, {{&time_taken, heap}, {&room, heap}}, cells};
}

int expect(const char *what, double found, double expected)
{
    if (std::fabs(found - expected) < 1e-9)
        return 0;
    std::printf("%s: found %g, expected %g\n", what, found, expected);
    return 1;
}

// A disturbance slowed both peers in the third round. The ratio of the medians would be 50 / 120.
int ratios_go_by_rounds()
{
    bench::suite all =
        suite_of({&reference, &other}, {{cell_of({100, 120, 200}, 0), cell_of({50, 40, 100}, 0)},
                                        {cell_of({80}, 0), cell_of({92}, 0)}});
    return expect("median of ratios", all.ratio(0, "other", reference.name), 0.5) +
           expect("of the reference", all.ratio(0, reference.name, reference.name), 1);
}

int only_common_rounds_count()
{
    bench::suite all =
        suite_of({&other, &reference}, {{cell_of({10, 20, 1, 1}, 0), cell_of({20, 80}, 0)},
                                        {cell_of({}, 0), cell_of({80}, 0)}});
    return expect("of two rounds", all.ratio(0, reference.name, "other"), 3) +
           expect("no figure", all.ratio(1, "other", reference.name), 0);
}

int no_reference_no_ratio()
{
    bench::suite all = suite_of({&other}, {{cell_of({10}, 0)}, {cell_of({10}, 0)}});
    all.end_slow_ones(0);
    return expect("without a reference", all.ratio(0, "other", reference.name), 0) +
           expect("without a reference no peer ends", all.cells[0][0].over, 0);
}

int slow_ones_end()
{
    bench::suite all = suite_of({&reference, &other, &slow},
                                {{cell_of({1}, 100), cell_of({1}, 400), cell_of({1}, 401)},
                                 {cell_of({}, 0), cell_of({1}, 0), cell_of({1}, 401)}});
    all.end_slow_ones(0);
    all.end_slow_ones(1);
    return expect("the reference continues", all.cells[0][0].over, 0) +
           expect("a peer of four times its time continues", all.cells[0][1].over, 0) +
           expect("a slower peer ends", all.cells[0][2].over, 1) +
           expect("all continue if the reference has no figure", all.cells[1][2].over, 0);
}

// A workload is measured in heaps of both sizes, unless twice its live bytes exceed the second.
int sizes_differ()
{
    bench::workload small = time_taken, large = time_taken;
    small.sizes = large.sizes = {100, 100};
    small.live = 10000;
    large.live = 1000000;
    return expect("of a small workload", bench::heap_sizes_of(small).size(), 2) +
           expect("of a large one", bench::heap_sizes_of(large).size(), 1) +
           expect("of room", bench::heap_sizes_of(room).size(), 1) +
           expect("the first is twice the live bytes", bench::heap_sizes_of(small)[0]->least,
                  65536);
}

} // namespace

int main()
{
    return sizes_differ() + ratios_go_by_rounds() + only_common_rounds_count() +
                       no_reference_no_ratio() + slow_ones_end() ==
                   0
               ? 0
               : 1;
}
