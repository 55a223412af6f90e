// shareable.hpp: which types may lie in shared memory, and how to tell one type from another there.
// SPDX-License-Identifier: Apache-2.0
#ifndef SHMHEAP_CPP_SHAREABLE_HPP
#define SHMHEAP_CPP_SHAREABLE_HPP

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <forward_list>
#include <functional>
#include <initializer_list>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <unordered_map>
#include <utility>
#include <variant>
#if __cplusplus >= 202002L && __has_include(<span>)
#include <span>
#endif

namespace shmheap
{

template <class T>
class allocator;
template <class T>
class offset_ptr;

namespace detail
{

// 1: a container whose memory comes from a heap; -1: a container with other memory; 0: no container
// with an allocator.
template <class T, class = void>
struct allocator_kind : std::integral_constant<int, 0> {
};
template <class T>
inline constexpr bool is_heap_allocator = false;
template <class T>
inline constexpr bool is_heap_allocator<allocator<T>> = true;
template <class T>
struct allocator_kind<T, std::void_t<typename T::allocator_type, typename T::value_type>>
    : std::integral_constant<int, is_heap_allocator<typename T::allocator_type> ? 1 : -1> {
};

// Nodes of libstdc++'s list, map, set and the unordered containers hold plain pointers, whatever
// the allocator's pointer is: up to gcc 14 for all, later where the program switched back.
template <class T>
inline constexpr bool is_plain_node = false;
#ifdef __GLIBCXX__
template <class T>
inline constexpr bool is_plain_node<std::_List_node<T>> = true;
template <class T>
inline constexpr bool is_plain_node<std::_Fwd_list_node<T>> = true;
template <class T>
inline constexpr bool is_plain_node<std::_Rb_tree_node<T>> = true;
template <class T, bool cached>
inline constexpr bool is_plain_node<std::__detail::_Hash_node<T, cached>> = true;
#endif

// Types known to keep plain pointers, which mean nothing in another process: pointers, references,
// views, owners, and containers with memory of this process. The trait cannot see pointers that are
// members of the program's own structs.
template <class T>
inline constexpr bool has_plain_pointers =
    std::is_pointer_v<T> || is_plain_node<T> || allocator_kind<T>::value < 0;
template <class T>
inline constexpr bool has_plain_pointers<const T> = has_plain_pointers<T>;
template <class T, std::size_t n>
inline constexpr bool has_plain_pointers<T[n]> = has_plain_pointers<T>;
template <class T, std::size_t n>
inline constexpr bool has_plain_pointers<std::array<T, n>> = has_plain_pointers<T>;
template <class A, class B>
inline constexpr bool has_plain_pointers<std::pair<A, B>> =
    has_plain_pointers<A> || has_plain_pointers<B>;
template <class... Ts>
inline constexpr bool has_plain_pointers<std::tuple<Ts...>> = (false || ... ||
                                                               has_plain_pointers<Ts>);
template <class... Ts>
inline constexpr bool has_plain_pointers<std::variant<Ts...>> = (false || ... ||
                                                                 has_plain_pointers<Ts>);
template <class T>
inline constexpr bool has_plain_pointers<std::optional<T>> = has_plain_pointers<T>;
template <class T>
inline constexpr bool has_plain_pointers<std::atomic<T>> = has_plain_pointers<T>;
template <class C, class Traits>
inline constexpr bool has_plain_pointers<std::basic_string_view<C, Traits>> = true;
#ifdef __cpp_lib_span
template <class T, std::size_t extent>
inline constexpr bool has_plain_pointers<std::span<T, extent>> = true;
#endif
template <class T>
inline constexpr bool has_plain_pointers<std::initializer_list<T>> = true;
template <class T>
inline constexpr bool has_plain_pointers<std::reference_wrapper<T>> = true;
template <class T, class D>
inline constexpr bool has_plain_pointers<std::unique_ptr<T, D>> = true;
template <class T>
inline constexpr bool has_plain_pointers<std::shared_ptr<T>> = true;
template <class T>
inline constexpr bool has_plain_pointers<std::weak_ptr<T>> = true;
template <class F>
inline constexpr bool has_plain_pointers<std::function<F>> = true;

template <class T, class = void>
struct shareable : std::bool_constant<std::is_trivially_copyable_v<T> && !has_plain_pointers<T>> {
};

} // namespace detail

// is_shareable<T> tells whether T may be a typed object with a name, or an element for
// get_allocator. It is true for types that can be copied byte by byte and are not known to keep
// pointers; for offset_ptr, allocator, and containers that use it and have such elements; and for
// pairs, tuples, arrays, optionals, variants and atomics of such types. If a type of your own means
// the same in all processes (such as a struct of containers), say so in the class, or before its
// first use:
//
//     struct order_book { using shmheap_shareable = order_book; ... };
//
//     template <>
//     inline constexpr bool shmheap::is_shareable<order_book> = true;
template <class T>
inline constexpr bool is_shareable = detail::shareable<T>::value;

// type_name<T> is the name by which processes compare the type of an object with T. nullptr: the
// name that the compiler gives (typeid), the same for gcc and clang. Specialise it if two programs
// have different names for one type.
template <class T>
inline constexpr const char *type_name = nullptr;

namespace detail
{

template <class T>
struct shareable<const T> : std::bool_constant<is_shareable<T>> {
};
template <class T, std::size_t n>
struct shareable<T[n]> : std::bool_constant<is_shareable<T>> {
};
template <class T>
struct shareable<offset_ptr<T>> : std::true_type {
};
template <class T>
struct shareable<allocator<T>> : std::true_type {
};
template <class A, class B>
struct shareable<std::pair<A, B>> : std::bool_constant<is_shareable<A> && is_shareable<B>> {
};
template <class... Ts>
struct shareable<std::tuple<Ts...>> : std::bool_constant<(true && ... && is_shareable<Ts>)> {
};
template <class... Ts>
struct shareable<std::variant<Ts...>> : std::bool_constant<(true && ... && is_shareable<Ts>)> {
};
template <class T, std::size_t n>
struct shareable<std::array<T, n>> : std::bool_constant<is_shareable<T>> {
};
template <class T>
struct shareable<std::optional<T>> : std::bool_constant<is_shareable<T>> {
};
template <class T>
struct shareable<std::atomic<T>> : std::bool_constant<is_shareable<T>> {
};
template <class T>
struct shareable<T, std::enable_if_t<allocator_kind<T>::value == 1>>
    : std::bool_constant<is_shareable<typename T::value_type>> {
};

template <class T>
struct shareable<T, std::enable_if_t<std::is_same_v<T, typename T::shmheap_shareable>>>
    : std::true_type {
};

// Returns 64 bits of T's name by FNV-1a; 0: the compiler gives no name (-fno-rtti).
template <class T>
std::uint64_t fingerprint() noexcept
{
    const char *name = type_name<T>;
#if defined(__cpp_rtti)
    if (name == nullptr)
        name = typeid(T).name();
#endif
    if (name == nullptr)
        return 0;
    std::uint64_t hash = 0xcbf29ce484222325;
    for (; *name != '\0'; name++)
        hash = (hash ^ static_cast<unsigned char>(*name)) * 0x100000001b3;
    return hash != 0 ? hash : 1;
}

} // namespace detail

} // namespace shmheap

#endif
