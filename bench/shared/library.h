// library.h: loads a peer's shared library at run time, so that building needs no peer.
// SPDX-License-Identifier: Apache-2.0
#ifndef BENCH_LIBRARY_H
#define BENCH_LIBRARY_H

#include <dlfcn.h>
#include <string>

#include "bench/peers/peer.h"

namespace bench
{

class library
{
public:
    // Throws unavailable, which names the package to install. RTLD_LOCAL: the library's malloc must
    // not replace that of the process. The library stays loaded: allocators keep keys and threads.
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
