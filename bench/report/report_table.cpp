// The figures as tables.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <functional>

#include "bench/report/report.h"

namespace bench
{

namespace
{

constexpr int row_width = 14;

int column_width(const peer_entry &entry)
{
    int len = static_cast<int>(std::strlen(entry.name));
    return (len < 9 ? 9 : len) + 2;
}

std::string number(double value)
{
    char text[32];
    int digits = value < 9.95 ? 2 : value < 99.5 ? 1 : 0;
    std::snprintf(text, sizeof text, "%.*f", digits, value);
    return text;
}

std::string figure_text(const suite &all, std::size_t row, std::size_t column)
{
    const cell &it = all.cells[row][column];
    if (!it.has_figure())
        return it.state == status::failed ? "FAILED" : "-";
    return (it.cut ? ">" : "") + number(it.median());
}

std::string calls_text(const suite &all, std::size_t row, std::size_t column)
{
    const cell &it = all.cells[row][column];
    return it.has_figure() && !it.calls.empty() ? latency_text(it.call_median()) : "-";
}

using cell_text = std::string (*)(const suite &, std::size_t, std::size_t);
using row_wanted = std::function<bool(const row &)>;

void table(const suite &all, const std::string &title, row_wanted wanted, cell_text text,
           int width_least, std::FILE *out)
{
    if (std::none_of(all.rows.begin(), all.rows.end(), wanted))
        return;
    auto width = [&](const peer_entry &entry) {
        return std::max(column_width(entry), width_least);
    };
    std::fprintf(out, "\n%s\n\n%-*s", title.c_str(), row_width, "");
    for (const peer_entry *entry : all.peers)
        std::fprintf(out, "%*s", width(*entry), entry->name);
    std::fprintf(out, "\n");
    for (std::size_t row = 0; row < all.rows.size(); row++) {
        if (!wanted(all.rows[row]))
            continue;
        std::fprintf(out, "%-*s", row_width, all.rows[row].what->name);
        for (std::size_t column = 0; column < all.peers.size(); column++)
            std::fprintf(out, "%*s", width(*all.peers[column]), text(all, row, column).c_str());
        std::fprintf(out, "\n");
    }
}

// The tables of one heap size.
void size_tables(const suite &all, const heap_size &heap, std::FILE *out)
{
    std::string where = std::string(", in heaps of ") + heap.text;
    auto timed = [&](const row &it) { return it.heap == &heap && it.what->kind == quantity::ns; };
    auto single = [&](const row &it) { return it.heap == &heap && it.what->calls; };
    table(all,
          "Nanoseconds, with the driver's own (\">\": cut by the time limit, at least this; "
          "\"-\": not measured)" +
              where,
          timed, figure_text, 0, out);
    table(all, "Nanoseconds of single calls, median/99.9 %/longest, with the clock's own" + where,
          single, calls_text, 19, out);
}

// How many times the bar's time a peer takes.
void comparisons_table(const suite &all, std::FILE *out)
{
    std::fprintf(out, "\nTimes the bar's time (medians of the rounds' ratios)\n\n");
    for (std::size_t row = 0; row < all.rows.size(); row++) {
        const workload &what = *all.rows[row].what;
        if (what.kind != quantity::ns)
            continue;
        std::fprintf(out, "%-*s %-4s", row_width, what.name, all.rows[row].heap->name);
        for (const comparison &it : comparisons) {
            double ratio = all.ratio(row, it.peer, it.bar);
            std::string label = std::string(it.peer) + "/" + it.bar;
            std::fprintf(out, "  %s %-6s", label.c_str(), ratio > 0 ? number(ratio).c_str() : "-");
        }
        std::fprintf(out, "\n");
    }
}

void legend(const suite &all, std::FILE *out)
{
    std::fprintf(out,
                 "\nWorkloads, with the operation that takes the ns above (an alloc and a free "
                 "are two operations)\n");
    const workload *last = nullptr;
    for (const row &it : all.rows) {
        if (it.what != last)
            std::fprintf(out, "  %-*s %-11s %s\n", row_width, it.what->name, it.what->unit,
                         it.what->text);
        last = it.what;
    }
    std::fprintf(out, "\nPeers\n");
    for (std::size_t i = 0; i < all.peers.size(); i++)
        std::fprintf(out, "  %-*s %-9s %s\n", row_width, all.peers[i]->name,
                     all.versions[i].c_str(), all.peers[i]->text);
}

// The spread of the rounds: a comparison of two figures needs it.
void spread(const suite &all, std::FILE *out)
{
    std::fprintf(out, "\nLeast and most of the rounds\n\n");
    for (std::size_t row = 0; row < all.rows.size(); row++) {
        std::fprintf(out, "%-*s %-4s", row_width, all.rows[row].what->name,
                     all.rows[row].heap->name);
        for (std::size_t column = 0; column < all.peers.size(); column++) {
            const cell &it = all.cells[row][column];
            if (it.has_figure())
                std::fprintf(out, "  %s %s..%s", all.peers[column]->name,
                             number(it.least()).c_str(), number(it.most()).c_str());
        }
        std::fprintf(out, "\n");
    }
}

// Prints each reason once for each peer, not once for each workload.
void reasons(const suite &all, std::FILE *out)
{
    for (std::size_t column = 0; column < all.peers.size(); column++) {
        std::string last;
        for (std::size_t row = 0; row < all.rows.size(); row++) {
            const cell &it = all.cells[row][column];
            if (it.has_figure() || it.reason.empty() || it.reason == last)
                continue;
            std::fprintf(out, "%s, %s, %s: %s\n", all.peers[column]->name, all.rows[row].what->name,
                         all.rows[row].heap->name, it.reason.c_str());
            last = it.reason;
        }
    }
}

} // namespace

std::string latency_text(const latency &calls)
{
    char text[80];
    std::snprintf(text, sizeof text, "%.0f/%.0f/%.0f", calls.median, calls.most_999, calls.most);
    return text;
}

void report_table(const suite &all, const machine_text &machine, std::FILE *out)
{
    for (const auto &[key, value] : machine)
        std::fprintf(out, "%-12s %s\n", key.c_str(), value.c_str());
    std::fprintf(out, "%-12s %s, median of %u rounds\n", "scale", all.scale_name.c_str(),
                 all.rounds);
    for (const heap_size &heap : heap_sizes())
        size_tables(all, heap, out);
    table(
        all, "Room, in the unit of the workload",
        [](const row &it) { return it.what->kind != quantity::ns; }, figure_text, 0, out);
    comparisons_table(all, out);
    spread(all, out);
    legend(all, out);
    std::fprintf(out, "\n");
    reasons(all, out);
}

} // namespace bench
