// error.hpp: errno as std::error_code and std::system_error.
// SPDX-License-Identifier: Apache-2.0
#ifndef SHMHEAP_CPP_ERROR_HPP
#define SHMHEAP_CPP_ERROR_HPP

#include <cerrno>
#include <new>
#include <string>
#include <string_view>
#include <system_error>

namespace shmheap::detail
{

inline std::error_code error_of(int number) noexcept { return {number, std::generic_category()}; }

// The error of the C call that just failed.
inline std::error_code last_error() noexcept { return error_of(errno); }

// cause: what the errno means here and what to do, where that is known; empty otherwise.
inline void throw_if(const std::error_code &error, const char *call, std::string_view argument = {},
                     std::string_view cause = {})
{
    if (!error)
        return;
    std::string text = std::string("shmheap: ") + call;
    if (!argument.empty())
        text.append(" \"").append(argument).append("\"");
    if (!cause.empty())
        text.append(": ").append(cause);
    throw std::system_error(error, text);
}

// For allocators: containers expect std::bad_alloc when there is no space.
[[noreturn]] inline void throw_no_memory(const std::error_code &error)
{
    if (error == error_of(ENOMEM))
        throw std::bad_alloc();
    throw std::system_error(error, "shmheap: allocate");
}

// What a C string cannot carry is refused rather than cut off.
inline bool has_nul(std::string_view text) noexcept
{
    return text.find('\0') != std::string_view::npos;
}

} // namespace shmheap::detail

#endif
