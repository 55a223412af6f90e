// The latency of single calls: quantiles, what a call timer counts, and how the report shows it.
// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <unistd.h>

#include "bench/report/report.h"
#include "bench/suite/call_timer.h"
#include "bench/workloads/scales.h"

namespace
{

#define CHECK(condition)                                                                           \
    ((condition) ? (void)0 : (std::printf("line %d: %s\n", __LINE__, #condition), std::exit(1)))

// Within 3 % above the exact value, and never above the longest.
bool about(std::uint64_t found, std::uint64_t exact)
{
    return found >= exact && static_cast<double>(found) <= 1.032 * static_cast<double>(exact);
}

void quantiles_of_a_histogram()
{
    bench::histogram empty, all, others;
    CHECK(empty.count() == 0 && empty.quantile(0.5) == 0 && empty.most() == 0);
    for (std::uint64_t i = 1; i <= 10000; i++)
        (i % 2 ? all : others).add(i);
    all.merge(others);
    CHECK(all.count() == 10000);
    CHECK(about(all.quantile(0.5), 5000));
    CHECK(about(all.quantile(0.999), 9990));
    CHECK(all.quantile(1) == 10000 && all.most() == 10000);
    CHECK(all.quantile(0) == 1);
    all.add(UINT64_MAX);
    CHECK(all.most() == UINT64_MAX && all.quantile(1) == UINT64_MAX);
    CHECK(about(all.quantile(0.999), 9990));
}

// Every 500th free takes a millisecond.
class uneven_peer final : public bench::peer
{
public:
    void open(const std::string &, std::size_t) override {}
    void close() override {}
    void *alloc(std::size_t) override { return this; }
    void free(void *) override
    {
        std::uint64_t begin = bench::now_ns();
        calls_++;
        while (calls_ % 500 == 0 && bench::now_ns() - begin < bench::ms)
            continue;
    }

private:
    unsigned calls_ = 0;
};

void calls(bench::peer &heap, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        heap.free(heap.alloc(1));
}

void a_timer_counts_what_is_measured()
{
    bench::call_timer timer(std::make_unique<uneven_peer>());
    bool refused = false;
    calls(timer, 1000);
    try {
        timer.result();
    } catch (const std::runtime_error &) {
        refused = true;
    }
    CHECK(refused);
    timer.measure_begin();
    calls(timer, 10000);
    timer.measure_end();
    bench::latency found = timer.result();
    CHECK(found.median > 0 && found.median <= found.most_999 && found.most_999 <= found.most);
    CHECK(found.most >= 0.9 * bench::ms);
}

std::string file_text(std::FILE *file)
{
    std::string text;
    std::rewind(file);
    for (int c; (c = std::fgetc(file)) != EOF;)
        text += static_cast<char>(c);
    return text;
}

// A suite of one peer with one figure, measured by both passes.
bench::suite suite_make(const bench::workload &what, const bench::peer_entry &entry)
{
    bench::suite all = {"test", bench::tiny_scale, 1, {&entry}, {}};
    bench::cell it;
    all.rows.push_back({&what, &bench::heap_sizes().front()});
    it.values = {20};
    it.calls = {{21, 90, 5000}, {22.4, 97.6, 41000.2}, {23, 98, 70000}};
    all.cells = {{it}};
    all.versions = {"1.2.3"};
    return all;
}

void a_report_shows_it()
{
    const bench::workload what = {"time", "call", "a text", 0, 0, {16, 16}, 1, nullptr};
    const bench::peer_entry entry = {"a-peer", "another text", 0, nullptr};
    bench::suite all = suite_make(what, entry);
    std::FILE *table = std::tmpfile();
    CHECK(bench::latency_text({1, 2.5001, 1e6}) == "1/3/1000000");
    bench::report_table(all, {{"key", "value"}}, table);
    std::string text = file_text(table);
    CHECK(text.find("22/98/41000\n") != std::string::npos);
    CHECK(text.find("in heaps of twice the live bytes") != std::string::npos);
    CHECK(text.find("in heaps of 64 MiB") == std::string::npos);
    CHECK(text.find("a-peer         1.2.3") != std::string::npos);
    std::fclose(table);
}

void a_file_holds_it()
{
    const bench::workload what = {"time", "call", "a text", 0, 0, {16, 16}, 1, nullptr};
    const bench::peer_entry entry = {"a-peer", "another text", 0, nullptr};
    const char *folder = std::getenv("TEST_TMPDIR");
    std::string path =
        std::string(folder != nullptr ? folder : "/tmp") + "/figures." + std::to_string(getpid());
    CHECK(bench::report_json(suite_make(what, entry), {}, path));
    std::ifstream stream(path);
    std::string text((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
    unlink(path.c_str());
    CHECK(text.find("\"heap\": \"2x\"") != std::string::npos);
    CHECK(text.find("\"call_median\": 22.4000, \"call_999\": 97.6000, \"call_max\": 41000.2000") !=
          std::string::npos);
    CHECK(text.find("\"version\": \"1.2.3\"") != std::string::npos);
}

} // namespace

int main()
{
    quantiles_of_a_histogram();
    a_timer_counts_what_is_measured();
    a_report_shows_it();
    a_file_holds_it();
    return 0;
}
