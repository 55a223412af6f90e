// error.hpp: errno as std::error_code and std::system_error.
// SPDX-License-Identifier: Apache-2.0
#ifndef SHMHEAP_CPP_ERROR_HPP
#define SHMHEAP_CPP_ERROR_HPP

#include <cerrno>
#include <cstddef>
#include <new>
#include <string>
#include <string_view>
#include <system_error>

#include "c.hpp"

namespace shmheap::detail
{

inline std::error_code error_of(int number) noexcept { return {number, std::generic_category()}; }

// The error of the C call that just failed.
inline std::error_code last_error() noexcept { return error_of(errno); }

// A text that a C string cannot carry is refused, not cut off.
inline bool has_nul(std::string_view text) noexcept
{
    return text.find('\0') != std::string_view::npos;
}

// Why the C call that just failed in this thread failed, and what to do: shmheap_error_text without
// the name of the call.
inline std::string last_cause()
{
    std::string_view text = shmheap_error_text();
    std::size_t end = text.find("\"): ");
    end = end != text.npos ? end + 4 : text.find(": ") + 2;
    return std::string(text.substr(end < text.size() ? end : 0));
}

// cause says what the errno means here and what to do, where that is known; else it is empty.
inline void throw_if(const std::error_code &error, const char *call, std::string_view argument = {},
                     std::string_view cause = {})
{
    if (!error)
        return;
    std::string text = std::string("shmheap: ") + call;
    if (!argument.empty())
        text.append(" \"").append(argument.substr(0, argument.find('\0'))).append("\"");
    if (!cause.empty())
        text.append(": ").append(cause);
    throw std::system_error(error, text);
}

// throw_if where error is of the C call that just failed in this thread. A name with a NUL has not
// reached C.
inline void throw_if_c(const std::error_code &error, const char *call,
                       std::string_view argument = {})
{
    if (error)
        throw_if(error, call, argument,
                 has_nul(argument) ? "a name cannot hold a NUL" : last_cause());
}

inline void throw_if_failed(bool failed, const char *call)
{
    if (failed)
        throw_if_c(last_error(), call);
}

// Why a call failed with ENOMEM, and what to do; empty for other errors.
inline std::string space_cause(shmheap_memory_handle mem, std::size_t bytes,
                               const std::error_code &error)
{
    shmheap_stats stats{};
    if (error != error_of(ENOMEM) || shmheap_stat(mem, &stats) != 0)
        return {};
    // The heap may grow, and the system refused it memory: the C call tells why.
    std::string cause = last_cause();
    if (cause.find("the heap cannot grow: ") != cause.npos ||
        cause.find("growing the heap failed") != cause.npos)
        return cause;
    return "no space for " + std::to_string(bytes) + " bytes; the largest that fits has " +
           std::to_string(stats.largest_free) +
           "; free objects, or make the heap with a larger len or max_len";
}

// Why a call with a valid name failed with EINVAL, and what to do; empty for other errors.
inline std::string type_cause(const std::error_code &error)
{
    if (error != error_of(EINVAL))
        return {};
    return "the object is of another type, or no C++ object: use the type that constructed it, or "
           "another name";
}

// Why a call with the name of an object failed, and what to do; empty where errno says it.
inline std::string named_cause(shmheap_memory_handle mem, std::string_view name,
                               const std::error_code &error)
{
    if (shmheap_valid(mem) == 0)
        return "the heap is not open: open or create it first";
    if (name.empty() || name.size() > 255)
        return "a name has 1 to 255 bytes";
    if (has_nul(name))
        return "a name cannot hold a NUL";
    if (error == error_of(EACCES))
        return "the connection is read-only, or a child of fork() may not open the heap's file: "
               "open the heap without read_only";
    if (error == error_of(ENOTSUP))
        return "the heap has no file: make it with a name, or as an anonymous one";
    if (error == error_of(ETIMEDOUT))
        return "a thread or process that constructs or destroys it did not finish: continue it, or "
               "end it";
    return type_cause(error);
}

// For allocators, when a C call has failed: containers expect std::bad_alloc if there is no space.
[[noreturn]] inline void throw_no_memory(const std::error_code &error)
{
    if (error == error_of(ENOMEM))
        throw std::bad_alloc();
    throw std::system_error(error, "shmheap: allocate: " + last_cause());
}

} // namespace shmheap::detail

#endif
