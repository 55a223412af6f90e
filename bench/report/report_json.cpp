// The figures as JSON.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "bench/report/report.h"
#include "bench/trace/trace.h"

namespace bench
{

namespace
{

std::string quoted(const std::string &text)
{
    std::string out = "\"";
    for (char c : text) {
        char escape[8];
        if (c == '"' || c == '\\')
            out += '\\';
        std::snprintf(escape, sizeof escape, "\\u%04x",
                      static_cast<unsigned>(static_cast<unsigned char>(c)));
        out += static_cast<unsigned char>(c) < 0x20 ? std::string(escape) : std::string(1, c);
    }
    return out + "\"";
}

std::string number(double value)
{
    char text[40];
    std::snprintf(text, sizeof text, "%.4f", value);
    return text;
}

// Joins the texts of a list by commas, one text a line.
template <class List, class Text>
std::string lines(const List &list, Text text)
{
    std::string out;
    for (const auto &it : list)
        out += (out.empty() ? "\n    " : ",\n    ") + text(it);
    return out + "\n  ";
}

std::string latency_json(const cell &it)
{
    if (it.calls.empty())
        return "";
    latency calls = it.call_median();
    return ", \"call_median\": " + number(calls.median) +
           ", \"call_999\": " + number(calls.most_999) + ", \"call_max\": " + number(calls.most);
}

std::string cell_json(const suite &all, std::size_t row, std::size_t column)
{
    const cell &it = all.cells[row][column];
    std::string out = "{\"workload\": " + quoted(all.rows[row].what->name) +
                      ", \"heap\": " + quoted(all.rows[row].heap->name) +
                      ", \"peer\": " + quoted(all.peers[column]->name);
    if (!it.has_figure())
        return out + (it.state == status::failed ? ", \"failed\": " : ", \"unavailable\": ") +
               quoted(it.reason) + "}";
    out += ", \"median\": " + number(it.median()) + ", \"min\": " + number(it.least()) +
           ", \"max\": " + number(it.most()) + latency_json(it) +
           ", \"cut\": " + (it.cut ? "true" : "false") + ", \"rounds\": [";
    for (std::size_t i = 0; i < it.values.size(); i++)
        out += (i ? ", " : "") + number(it.values[i]);
    return out + "]}";
}

std::string cells_json(const suite &all)
{
    std::vector<std::string> list;
    for (std::size_t row = 0; row < all.rows.size(); row++)
        for (std::size_t column = 0; column < all.peers.size(); column++)
            list.push_back(cell_json(all, row, column));
    return lines(list, [](const std::string &it) { return it; });
}

std::string named(const char *name, const char *text)
{
    return "{\"name\": " + quoted(name) + ", \"text\": " + quoted(text);
}

std::string peers_json(const suite &all)
{
    std::vector<std::string> list;
    for (std::size_t i = 0; i < all.peers.size(); i++)
        list.push_back(named(all.peers[i]->name, all.peers[i]->text) +
                       ", \"version\": " + quoted(all.versions[i]) + "}");
    return lines(list, [](const std::string &it) { return it; });
}

std::string program_json(const std::string &name, const program_trace &it)
{
    std::string out = "{\"name\": " + quoted(name) + ", \"text\": " + quoted(it.command);
    if (!it.missing.empty())
        return out + ", \"missing\": " + quoted(it.missing) + "}";
    return out + ", \"process\": " + quoted(it.process) +
           ", \"calls\": " + std::to_string(it.calls.size()) +
           ", \"live_most\": " + std::to_string(it.live_most) + "}";
}

constexpr const char *kinds[] = {"ns", "percent", "times"};

// Each workload once, though it may have several rows.
std::string workloads_json(const suite &all)
{
    std::vector<const workload *> list;
    for (const row &it : all.rows)
        if (std::find(list.begin(), list.end(), it.what) == list.end())
            list.push_back(it.what);
    return lines(list, [](const workload *it) {
        return named(it->name, it->text) + ", \"unit\": " + quoted(it->unit) +
               ", \"quantity\": " + quoted(kinds[static_cast<int>(it->kind)]) + "}";
    });
}

std::string suite_json(const suite &all, const machine_text &machine)
{
    return "{\n  \"format\": 2,\n  \"scale\": " + quoted(all.scale_name) +
           ",\n  \"rounds\": " + std::to_string(all.rounds) + ",\n  \"machine\": {" +
           lines(machine,
                 [](const auto &it) { return quoted(it.first) + ": " + quoted(it.second); }) +
           "},\n  \"heaps\": [" +
           lines(heap_sizes(), [](const heap_size &it) { return named(it.name, it.text) + "}"; }) +
           "],\n  \"peers\": [" + peers_json(all) + "],\n  \"workloads\": [" + workloads_json(all) +
           "],\n  \"programs\": [" +
           lines(traces_recorded(),
                 [](const auto &it) { return program_json(it.first, *it.second); }) +
           "],\n  \"cells\": [" + cells_json(all) + "]\n}\n";
}

} // namespace

bool report_json(const suite &all, const machine_text &machine, const std::string &path)
{
    std::FILE *out = std::fopen(path.c_str(), "w");
    if (out == nullptr)
        return false;
    std::string text = suite_json(all, machine);
    bool written = std::fwrite(text.data(), 1, text.size(), out) == text.size();
    return std::fclose(out) == 0 && written;
}

} // namespace bench
