// library.h: a shared library that may be missing, so that no peer is needed for building.
// SPDX-License-Identifier: Apache-2.0
#ifndef BENCH_LIBRARY_H
#define BENCH_LIBRARY_H

#include <dlfcn.h>
#include <string>

#include "bench/peer.h"

namespace bench
{

class library
{
public:
    // Throws unavailable; package is what to install then. RTLD_LOCAL: a library that has a malloc must
    // not become the process's malloc. Never closed: allocators keep keys and threads.
    library(const char *file, const char *package) : handle_(dlopen(file, RTLD_NOW | RTLD_LOCAL))
    {
        if (handle_ == nullptr)
            throw unavailable(reason(package));
    }

    template <class Function>
    void bind(Function *&function, const char *symbol) const
    {
        void *address = dlsym(handle_, symbol);
        if (address == nullptr)
            throw unavailable(std::string("has no ") + symbol);
        function = reinterpret_cast<Function *>(address);
    }

private:
    static std::string reason(const char *package)
    {
        const char *text = dlerror();
        if (text != nullptr && std::string(text).find("No such file") == std::string::npos)
            return text;
        return std::string("not installed (") + package + ")";
    }

    void *handle_;
};

} // namespace bench

#endif
