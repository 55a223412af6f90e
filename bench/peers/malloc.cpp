// Mallocs for private memory of one process.
// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <gnu/libc-version.h>
#include <optional>
#include <unistd.h>

#include "bench/shared/library.h"
#include "bench/peers/peer.h"

namespace bench
{

namespace
{

class glibc_peer final : public peer
{
public:
    void open(const std::string &, std::size_t) override {}
    void close() override {}
    void *alloc(std::size_t size) override { return std::malloc(size); }
    void free(void *object) override { std::free(object); }
    void *resize(void *object, std::size_t, std::size_t size) override
    {
        return std::realloc(object, size);
    }
    std::string version() override { return gnu_get_libc_version(); }
};

// A malloc of a library that is loaded in addition to the C library's: of the newest version, which
// tools/setup --bench builds in bench/mallocs, else of the distribution's package.
class loaded_peer : public peer
{
public:
    void close() override {}
    void *alloc(std::size_t size) final { return alloc_(size); }
    void free(void *object) final { free_(object); }
    void *resize(void *object, std::size_t, std::size_t size) final
    {
        return resize_(object, size);
    }

protected:
    // Returns false if it is not built. Its functions are name_alloc, name_free, name_resize.
    bool load_built(const std::string &name)
    {
        std::string file = file_built();
        if (access(file.c_str(), R_OK) != 0)
            return false;
        load(file.c_str(), "tools/setup --bench", (name + "_alloc").c_str(),
             (name + "_free").c_str(), (name + "_resize").c_str());
        return true;
    }
    void load(const char *file, const char *package, const char *alloc_name, const char *free_name,
              const char *resize_name)
    {
        library_.emplace(file, package);
        library_->bind(alloc_, alloc_name);
        library_->bind(free_, free_name);
        library_->bind(resize_, resize_name);
    }
    template <class Function>
    Function *function(const char *symbol) const
    {
        Function *found;
        library_->bind(found, symbol);
        return found;
    }

private:
    // `bazel run` passes the workspace's folder; else it must be the current folder.
    static std::string file_built()
    {
        const char *folder = std::getenv("BUILD_WORKSPACE_DIRECTORY");
        return std::string(folder != nullptr ? folder : ".") +
               "/bench/mallocs/target/release/libbench_mallocs.so";
    }

    std::optional<library> library_;
    void *(*alloc_)(std::size_t) = nullptr;
    void (*free_)(void *) = nullptr;
    void *(*resize_)(void *, std::size_t) = nullptr;
};

class jemalloc_peer final : public loaded_peer
{
public:
    void open(const std::string &, std::size_t) override
    {
        if (load_built("jemalloc")) {
            version_ = function<const char *()>("jemalloc_version")();
            return;
        }
        load("libjemalloc.so.2", "libjemalloc2", "malloc", "free", "realloc");
        std::size_t len = sizeof version_;
        function<int(const char *, void *, std::size_t *, void *, std::size_t)>("mallctl")(
            "version", &version_, &len, nullptr, 0);
    }
    // "5.3.0-0-g54eaed1d8b56b1aa528be3bdd1877e59c56fa90c"
    std::string version() override
    {
        std::string text = version_ != nullptr ? version_ : "";
        return text.substr(0, text.find('-'));
    }

private:
    const char *version_ = nullptr;
};

class mimalloc_peer final : public loaded_peer
{
public:
    void open(const std::string &, std::size_t) override
    {
        if (load_built("mimalloc")) {
            version_ = function<int()>("mimalloc_version")();
            return;
        }
        load("libmimalloc.so.2", "libmimalloc2.0", "mi_malloc", "mi_free", "mi_realloc");
        version_ = function<int()>("mi_version")();
    }
    // 30302 is 3.3.2, but 209 is 2.0.9.
    std::string version() override
    {
        int step = version_ < 10000 ? 10 : 100;
        return std::to_string(version_ / step / step) + "." +
               std::to_string(version_ / step % step) + "." + std::to_string(version_ % step);
    }

private:
    int version_ = 0;
};

class snmalloc_peer final : public loaded_peer
{
public:
    void open(const std::string &, std::size_t) override
    {
        if (!load_built("snmalloc"))
            throw unavailable("not built (tools/setup --bench)");
    }
    std::string version() override { return function<const char *()>("snmalloc_version")(); }
};

} // namespace

const peer_entry glibc_entry = {"glibc", "the C library's malloc, private to the process",
                                trait_objects, make_peer<glibc_peer>};
const peer_entry jemalloc_entry = {"jemalloc", "jemalloc, private to the process", trait_objects,
                                   make_peer<jemalloc_peer>};
const peer_entry mimalloc_entry = {"mimalloc", "mimalloc, private to the process", trait_objects,
                                   make_peer<mimalloc_peer>};
const peer_entry snmalloc_entry = {"snmalloc", "snmalloc, private to the process", trait_objects,
                                   make_peer<snmalloc_peer>};

} // namespace bench
