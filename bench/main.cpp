// main.cpp: the command-line program bench.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <getopt.h>
#include <unistd.h>

#include "bench/measure/machine.h"
#include "bench/report/report.h"
#include "bench/workloads/scales.h"
#include "bench/measure/start.h"

namespace
{

constexpr const char *help_text =
    "Usage: bench [OPTION]...\n"
    "\n"
    "Measures shmheap and other allocators (peers). Prints medians of interleaved rounds.\n"
    "\n"
    "  -q, --quick            a minute: up to 400,000 live objects, 3 rounds\n"
    "  -f, --full             an hour: more steps, 11 rounds\n"
    "  -p, --peers LIST       measure these peers only, separated by commas; \"all\": also those\n"
    "                         that are left out by default, for they are slow\n"
    "  -w, --workloads LIST   measure these workloads only, separated by commas\n"
    "  -s, --sizes LIST       measure in heaps of these sizes only: 2x (twice the live bytes),\n"
    "                         64M (64 MiB)\n"
    "  -r, --rounds N         number of rounds (default 5)\n"
    "  -j, --json FILE        write the figures of all rounds to FILE\n"
    "  -d, --docs             write docs/benchmarks.md, its plots and docs/benchmarks.json;\n"
    "                         start it by bazel run\n"
    "  -l, --list             list peers and workloads, measure nothing\n"
    "  -h, --help             print this text\n"
    "\n"
    "Exit status: 0 no peer failed; 1 a peer failed or changed the contents of objects;\n"
    "2 wrong usage.\n";

[[noreturn]] void wrong_usage(const std::string &text)
{
    std::fprintf(stderr, "bench: %s; see --help\n", text.c_str());
    std::exit(2);
}

struct choices {
    bench::suite all = {"default", bench::default_scale, 0, {}, {}};
    unsigned rounds = 5;
    std::string peers = bench::main_peers, workloads, sizes, json;
    bool list = false, docs = false;
};

unsigned rounds_of(const char *text)
{
    char *end;
    unsigned long rounds = std::strtoul(text, &end, 10);
    if (*text == '\0' || *end != '\0' || rounds < 1 || rounds > 1000)
        wrong_usage(std::string("--rounds needs a number from 1 to 1000, not ") + text);
    return static_cast<unsigned>(rounds);
}

void scale_choose(choices &chosen, const char *name, const bench::scale &size, unsigned rounds)
{
    chosen.all.scale_name = name;
    chosen.all.size = size;
    chosen.rounds = rounds;
}

void option_take(choices &chosen, unsigned &rounds, int option)
{
    switch (option) {
        case 'q':
            return scale_choose(chosen, "quick", bench::quick_scale, 3);
        case 'f':
            return scale_choose(chosen, "full", bench::full_scale, 11);
        case 'p':
            chosen.peers = std::strcmp(optarg, "all") == 0 ? "" : optarg;
            break;
        case 'w':
            chosen.workloads = optarg;
            break;
        case 'r':
            rounds = rounds_of(optarg);
            break;
        case 'j':
            chosen.json = optarg;
            break;
        case 's':
            chosen.sizes = optarg;
            break;
        case 'd':
            chosen.docs = true;
            break;
        case 'l':
            chosen.list = true;
            break;
        case 'h':
            std::fputs(help_text, stdout);
            std::exit(0);
        default:
            std::exit(2);
    }
}

choices options_read(int argc, char **argv)
{
    static const option options[] = {
        {"quick", no_argument, nullptr, 'q'},
        {"full", no_argument, nullptr, 'f'},
        {"peers", required_argument, nullptr, 'p'},
        {"workloads", required_argument, nullptr, 'w'},
        {"rounds", required_argument, nullptr, 'r'},
        {"json", required_argument, nullptr, 'j'},
        {"list", no_argument, nullptr, 'l'},
        {"docs", no_argument, nullptr, 'd'},
        {"sizes", required_argument, nullptr, 's'},
        {"help", no_argument, nullptr, 'h'},
        {nullptr, 0, nullptr, 0},
    };
    choices chosen;
    unsigned rounds = 0;
    for (int c; (c = getopt_long(argc, argv, "qfp:w:s:r:j:dlh", options, nullptr)) != -1;)
        option_take(chosen, rounds, c);
    if (optind < argc)
        wrong_usage(std::string("unexpected argument ") + argv[optind]);
    chosen.all.rounds = rounds ? rounds : chosen.rounds;
    return chosen;
}

// Adds to picked the items that list, "a,b,c", names; all items if list is empty.
template <class Item>
void pick(const std::vector<Item> &items, const std::string &list,
          std::vector<const Item *> &picked)
{
    for (std::size_t begin = 0, end; begin <= list.size(); begin = end + 1) {
        end = std::min(list.find(',', begin), list.size());
        std::string name = list.substr(begin, end - begin);
        std::size_t before = picked.size();
        for (const Item &it : items)
            if (list.empty() || name == it.name)
                picked.push_back(&it);
        if (picked.size() == before)
            wrong_usage("there is no '" + name + "'; --list shows the names");
    }
}

// The rows of a workload follow each other, so that the machine is the same for both heap sizes.
void rows_make(const std::vector<const bench::workload *> &workloads,
               const std::vector<const bench::heap_size *> &sizes, bench::suite &all)
{
    for (const bench::workload *what : workloads)
        for (const bench::heap_size *size : bench::heap_sizes_of(*what))
            if (std::find(sizes.begin(), sizes.end(), size) != sizes.end())
                all.rows.push_back({what, size});
}

template <class Item>
void list_show(const char *title, const std::vector<const Item *> &items)
{
    std::printf("%s\n", title);
    for (const Item *it : items)
        std::printf("  %-14s %s\n", it->name, it->text);
}

// Runs bench/report/page.py of the workspace under the python3 of PATH if it has matplotlib, else
// under /usr/bin/python3. Returns 0 on success; page.py prints its errors.
int page_run(const std::string &workspace, const std::string &what)
{
    std::string command =
        "cd '" + workspace +
        "' && p=python3; $p -c 'import matplotlib' 2>/dev/null || p=/usr/bin/python3; "
        "command -v $p >/dev/null || { echo 'bench: --docs needs python3-matplotlib (apt-get "
        "install it)' >&2; exit 1; }; "
        "exec $p bench/report/page.py " +
        what + " docs";
    return std::system(command.c_str());
}

std::string workspace_of()
{
    const char *folder = getenv("BUILD_WORKSPACE_DIRECTORY");
    if (folder == nullptr)
        wrong_usage("--docs writes into the project; start it by: bazel run -c opt "
                    "//tools:bench -- --docs");
    return folder;
}

// `bazel run` starts a program in another folder and passes the caller's folder in a variable.
void enter_caller_folder()
{
    const char *folder = getenv("BUILD_WORKING_DIRECTORY");
    if (folder != nullptr && chdir(folder) != 0)
        std::fprintf(stderr, "bench: %s: %s\n", folder, std::strerror(errno));
}

} // namespace

int main(int argc, char **argv)
{
    bench::start_again_with_tls(argv);
    enter_caller_folder();
    choices chosen = options_read(argc, argv);
    bench::suite &all = chosen.all;
    pick(bench::peers(), chosen.list ? "" : chosen.peers, all.peers);
    std::vector<const bench::workload *> workloads;
    std::vector<const bench::heap_size *> sizes;
    pick(bench::workloads(), chosen.workloads, workloads);
    pick(bench::heap_sizes(), chosen.sizes, sizes);
    if (chosen.list) {
        list_show("Peers", all.peers);
        list_show("Workloads", workloads);
        list_show("Sizes of heaps", sizes);
        return 0;
    }
    rows_make(workloads, sizes, all);
    std::string workspace;
    if (chosen.docs) { // checks before the long measurement that the page can be written
        workspace = workspace_of();
        chosen.json = workspace + "/docs/benchmarks.json";
        if (page_run(workspace, "--check") != 0)
            return 1;
    }
    bench::machine_text machine = bench::machine_describe();
    all.run();
    bench::report_table(all, machine, stdout);
    if (!chosen.json.empty() && !bench::report_json(all, machine, chosen.json)) {
        std::fprintf(stderr, "bench: %s: %s\n", chosen.json.c_str(), std::strerror(errno));
        return 1;
    }
    if (chosen.docs && page_run(workspace, "docs/benchmarks.json") != 0)
        return 1;
    return all.failed() ? 1 : 0;
}
