// The figures as tables.
// SPDX-License-Identifier: Apache-2.0
#include <cstring>

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

std::string ns_text(const suite &all, std::size_t row, std::size_t column)
{
    const cell &it = all.cells[row][column];
    if (!it.has_figure())
        return it.state == status::failed ? "FAILED" : "-";
    return (it.cut ? ">" : "") + number(it.median());
}

std::string ratio_text(const suite &all, std::size_t row, std::size_t column)
{
    double ratio = all.ratio(row, column);
    return ratio > 0 ? (all.cells[row][column].cut ? "<" : "") + number(ratio) : "-";
}

using cell_text = std::string (*)(const suite &, std::size_t, std::size_t);

void table(const suite &all, const char *title, cell_text text, std::FILE *out)
{
    std::fprintf(out, "\n%s\n\n%-*s", title, row_width, "");
    for (const peer_entry *entry : all.peers)
        std::fprintf(out, "%*s", column_width(*entry), entry->name);
    std::fprintf(out, "\n");
    for (std::size_t row = 0; row < all.workloads.size(); row++) {
        std::fprintf(out, "%-*s", row_width, all.workloads[row]->name);
        for (std::size_t column = 0; column < all.peers.size(); column++)
            std::fprintf(out, "%*s", column_width(*all.peers[column]),
                         text(all, row, column).c_str());
        std::fprintf(out, "\n");
    }
}

void legend(const suite &all, std::FILE *out)
{
    std::fprintf(out,
                 "\nWorkloads, with the operation that takes the ns above (an alloc and a free "
                 "are two operations)\n");
    for (const workload *it : all.workloads)
        std::fprintf(out, "  %-*s %-11s %s\n", row_width, it->name, it->unit, it->text);
    std::fprintf(out, "\nPeers\n");
    for (const peer_entry *it : all.peers)
        std::fprintf(out, "  %-*s %s\n", row_width, it->name, it->text);
}

// The spread of the rounds: a comparison of two figures needs it.
void spread(const suite &all, std::FILE *out)
{
    std::fprintf(out, "\nMinimum and maximum ns of the %u rounds\n\n", all.rounds);
    for (std::size_t row = 0; row < all.workloads.size(); row++) {
        std::fprintf(out, "%-*s", row_width, all.workloads[row]->name);
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
        for (std::size_t row = 0; row < all.workloads.size(); row++) {
            const cell &it = all.cells[row][column];
            if (it.has_figure() || it.reason.empty() || it.reason == last)
                continue;
            std::fprintf(out, "%s, %s: %s\n", all.peers[column]->name, all.workloads[row]->name,
                         it.reason.c_str());
            last = it.reason;
        }
    }
}

} // namespace

void report_table(const suite &all, const machine_text &machine, std::FILE *out)
{
    for (const auto &[key, value] : machine)
        std::fprintf(out, "%-12s %s\n", key.c_str(), value.c_str());
    std::fprintf(out, "%-12s %s, median of %u rounds\n", "scale", all.scale_name.c_str(),
                 all.rounds);
    table(all,
          "Nanoseconds, with the driver's own (\">\": cut by the time limit, at least this; "
          "\"-\": not measured)",
          ns_text, out);
    table(all, "Speed relative to boost-rbtree", ratio_text, out);
    spread(all, out);
    legend(all, out);
    std::fprintf(out, "\n");
    reasons(all, out);
}

} // namespace bench
