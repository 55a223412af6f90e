// Records real programs by //tools:shmheap.
// SPDX-License-Identifier: Apache-2.0
#include "bench/trace/trace.h"

#include <climits>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/peers/peer.h"
#include "bench/trace/trace_load.h"

namespace bench
{

namespace
{

namespace fs = std::filesystem;

// A program to record. `prepare` makes its input in an empty folder.
struct program {
    const char *name;
    const char *needs;   // the command that must be installed
    const char *package; // its package
    const char *prepare; // for the shell
    const char *command; // for the shell, with $RECORD before the command to record
    const char *text;    // description
};

// The input is the same each time: without dates and random hashes.
const program programs[] = {
    {"python3", "python3", "python3", "true",
     "PYTHONHASHSEED=0 PYTHONMALLOC=malloc PYTHONDONTWRITEBYTECODE=1 $RECORD python3 -S -c '"
     "import ast, decimal, inspect, json, re\n"
     "text = inspect.getsource(ast) + inspect.getsource(re)\n"
     "tree = ast.dump(ast.parse(text))\n"
     "words = {}\n"
     "for word in re.findall(r\"[A-Za-z_]+\", tree): words[word] = words.get(word, 0) + 1\n"
     "rows = [dict(number=i, name=\"row %d\" % i, words=sorted(words)[:i % 20]) for i in "
     "range(1500)]\n"
     "assert json.loads(json.dumps(rows)) == rows'",
     "python3, every object by malloc (PYTHONMALLOC=malloc): parses its own library, counts words, "
     "writes and reads JSON"},
    {"cc1", "gcc", "gcc",
     "i=0; echo '#include <stdio.h>' >a.c; while [ $i -lt 150 ]; do i=$((i + 1)); "
     "echo 'int f'$i'(int *a, int n) { int s = '$i'; for (int i = 0; i < n; i++) if (a[i] % 3 == s "
     "% 3) s += a[i] * '$i'; else a[i] ^= s;"
     " puts(s > 9 ? \"more\" : \"less\"); return s > n ? f'$i'(a + 1, n - 1) : s; }'; done >>a.c",
     "$RECORD gcc -O2 -c a.c -o a.o", "cc1, gcc's compiler: gcc -O2 -c on a file of 150 functions"},
    {"sqlite3", "sqlite3", "sqlite3", "true",
     "$RECORD sqlite3 :memory: \"create table t(id integer primary key, name text, score real);"
     " with recursive n(i) as (select 1 union all select i + 1 from n where i < 12000)"
     " insert into t select i, 'name ' || (i * 7919 % 12000) || hex(i), i * 1.5 from n;"
     " create index by_name on t(name); update t set name = name || ' changed' where id % 3 = 0;"
     " select count(*), max(length(s)) from (select group_concat(name) as s from t group by id % "
     "500);"
     " delete from t where id % 2; select sum(score) from t where name like '%99%';\" >out",
     "sqlite3 on a database in memory: inserts, an index, updates, groups, deletes"},
    {"git", "git", "git",
     "git init -q repository && cd repository && c=0 && { while [ $c -lt 60 ]; do c=$((c + 1)); "
     "printf 'commit refs/heads/main\\ncommitter A <a@b> %d +0000\\ndata 6\\nchange\\n' "
     "$((1000000000 + c)); "
     "f=0; while [ $f -lt 12 ]; do f=$((f + 1)); printf 'M 100644 inline folder%d/file%d\\ndata "
     "<<END\\n' $((f % 4)) $f; "
     "l=0; while [ $l -lt 40 ]; do l=$((l + 1)); echo \"line $l of $f, $((c * f * l % (c + 7)))\"; "
     "done; "
     "printf 'END\\n'; done; done; } | git fast-import --quiet",
     "cd repository && $RECORD git --no-pager log -p --stat main >../out",
     "git log -p --stat over 60 commits that each change 12 files"},
    {"perl", "perl", "perl", "true",
     "PERL_HASH_SEED=0 PERL_PERTURB_KEYS=0 $RECORD perl -e '"
     "my %words; my $state = 1;\n"
     "for my $line (1 .. 4000) {\n"
     "  my @line = map { $state = ($state * 69069 + 1) % 4294967296; \"w\" . $state % 9973 } 1 .. "
     "8;\n"
     "  push @{$words{$_}}, join(\" \", @line) for @line[0, 1];\n"
     "}\n"
     "my @long = grep { @{$words{$_}} > 2 } sort keys %words;\n"
     "my $text = join(\"\", map { \"$_: \" . join(\"; \", sort @{$words{$_}}) . \"\\n\" } @long);\n"
     "$text =~ s/w(\\d+)/<$1>/g; delete @words{@long}; print length $text' >out",
     "perl: a table of lists of texts, sorted, joined, changed by a pattern, partly deleted"},
    {"node", "node", "nodejs", "true",
     "$RECORD node -e '"
     "const rows = Array.from({length: 3000}, (_, i) => ({number: i, name: \"row \" + i}));\n"
     "let text = JSON.stringify(rows);\n"
     "for (let i = 0; i < 200; i++) Buffer.from(text).toString(\"base64\");\n"
     "for (let i = 0; i < 2000; i++) new RegExp(\"row \" + i + \"(,|})\").test(text);' >out",
     "node: JSON, buffers and patterns; the objects of its own heap are not malloc's"},
};

class temporary_folder
{
public:
    temporary_folder()
    {
        std::string pattern = (fs::temp_directory_path() / "shmheap-bench-XXXXXX").string();
        if (mkdtemp(pattern.data()) == nullptr)
            throw std::runtime_error("cannot create a folder for traces in " +
                                     fs::temp_directory_path().string());
        path_ = pattern;
    }
    temporary_folder(const temporary_folder &) = delete;
    temporary_folder &operator=(const temporary_folder &) = delete;
    ~temporary_folder()
    {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    std::string path() const { return path_.string(); }

private:
    fs::path path_;
};

// The tool is in the runfiles of a test, or beside this program's folder in bazel-bin.
std::string tool_find()
{
    std::error_code ignored;
    const char *folder = std::getenv("TEST_SRCDIR"), *name = std::getenv("TEST_WORKSPACE");
    fs::path self = fs::read_symlink("/proc/self/exe", ignored);
    for (const fs::path &place : {folder && name ? fs::path(folder) / name : fs::path(),
                                  self.parent_path().parent_path()}) {
        fs::path tool = place / "tools/shmheap";
        if (access(tool.c_str(), X_OK) == 0 && fs::is_regular_file(tool, ignored))
            return fs::canonical(tool).string();
    }
    throw unavailable("the recorder is not built (bazel build -c opt //tools:shmheap)");
}

// Removes settings of the user that could change the recorded programs. Also removes the variables
// of `bazel run`: with them the recorder would enter the caller's folder and run its program there.
void shell_become(const std::string &folder, const std::string &record, const std::string &text)
{
    setenv("RECORD", record.c_str(), 1);
    setenv("HOME", folder.c_str(), 1);
    setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
    setenv("LC_ALL", "C", 1);
    for (const char *name :
         {"BUILD_WORKING_DIRECTORY", "BUILD_WORKSPACE_DIRECTORY", "GLIBC_TUNABLES", "GIT_DIR",
          "GIT_WORK_TREE", "GIT_CONFIG_GLOBAL", "PYTHONPATH", "PYTHONHOME"})
        unsetenv(name);
    if (chdir(folder.c_str()) == 0)
        execl("/bin/sh", "sh", "-c", text.c_str(), static_cast<char *>(nullptr));
    _exit(127);
}

void shell(const std::string &folder, const std::string &record, const std::string &text)
{
    pid_t child = fork();
    if (child == 0)
        shell_become(folder, record, "exec 2>>'" + folder + "/errors'; " + text);
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child)
        throw std::runtime_error("fork failed");
    if (status == 0)
        return;
    std::ifstream errors(folder + "/errors");
    std::string line;
    std::getline(errors, line);
    throw std::runtime_error("recording failed: " + line);
}

bool command_there(const std::string &folder, const program &it)
{
    try {
        shell(folder, "", std::string("command -v ") + it.needs + " >/dev/null");
        return true;
    } catch (const std::runtime_error &) {
        return false;
    }
}

void record_into(const program &it, program_trace &made)
{
    temporary_folder folder;
    if (!command_there(folder.path(), it))
        throw unavailable(std::string("not installed (") + it.package + ")");
    std::string file = folder.path() + "/trace";
    shell(folder.path(), "", it.prepare);
    shell(folder.path(), tool_find() + " record -o " + file + " --", it.command);
    trace_load(file, made);
    // A wrapper or a driver may have made more calls. The name of python3 may be python3.11.
    if (made.process.rfind(it.name, 0) != 0)
        throw std::runtime_error("recorded " + made.process + " instead of " + it.name);
}

program_trace record(const program &it)
{
    program_trace made;
    made.command = it.text;
    try {
        record_into(it, made);
    } catch (const unavailable &e) {
        made.missing = e.what();
    } catch (const std::exception &e) {
        made.missing = e.what();
        made.failed = true;
    }
    return made;
}

std::map<std::string, program_trace> &recorded()
{
    static std::map<std::string, program_trace> all;
    return all;
}

} // namespace

const program_trace &trace_of(const std::string &name)
{
    auto found = recorded().find(name);
    if (found != recorded().end())
        return found->second;
    for (const program &it : programs)
        if (name == it.name)
            return recorded()[name] = record(it);
    throw std::logic_error("there is no program " + name + " to record");
}

std::vector<std::pair<std::string, const program_trace *>> traces_recorded()
{
    std::vector<std::pair<std::string, const program_trace *>> list;
    for (const program &it : programs)
        if (recorded().count(it.name) != 0)
            list.emplace_back(it.name, &recorded()[it.name]);
    return list;
}

} // namespace bench
