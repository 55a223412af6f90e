// offset_ptr.hpp: a pointer that holds the distance to its object.
// SPDX-License-Identifier: Apache-2.0
#ifndef SHMHEAP_CPP_OFFSET_PTR_HPP
#define SHMHEAP_CPP_OFFSET_PTR_HPP

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <type_traits>

namespace shmheap
{

namespace detail
{
// The target of an offset_ptr<void>: traits want a reference there, too.
struct nothing;
} // namespace detail

// offset_ptr<T> holds the distance from itself to the object. If pointer and object lie in one
// mapping, it is valid at every address of that mapping, in every process. It has 8 bytes. Copying
// it computes the new distance, so it is not trivially copyable. It is a random access iterator,
// and a pointer as the standard's allocator requirements define it. A distance of 1 means null,
// since no offset_ptr points into itself. It does not check the distance: trust it as you trust the
// process that wrote it.
template <class T>
class offset_ptr
{
public:
    using element_type = T;
    using value_type = std::remove_cv_t<T>;
    using difference_type = std::ptrdiff_t;
    using pointer = offset_ptr;
    using reference = std::conditional_t<std::is_void_v<T>, detail::nothing, T> &;
    using iterator_category = std::random_access_iterator_tag;
    template <class U>
    using rebind = offset_ptr<U>;

    offset_ptr() noexcept = default;
    offset_ptr(T *raw) noexcept { set(raw); } // also from nullptr
    offset_ptr(const offset_ptr &other) noexcept { set(other.get()); }
    template <class U, std::enable_if_t<std::is_convertible_v<U *, T *>, int> = 0>
    offset_ptr(const offset_ptr<U> &other) noexcept
    {
        set(other.get());
    }
    // The casts that static_cast does between plain pointers: from void, and to a derived class.
    template <class U, std::enable_if_t<!std::is_convertible_v<U *, T *>, int> = 0,
              class = decltype(static_cast<T *>(std::declval<U *>()))>
    explicit offset_ptr(const offset_ptr<U> &other) noexcept
    {
        set(static_cast<T *>(other.get()));
    }
    offset_ptr &operator=(const offset_ptr &other) noexcept
    {
        set(other.get());
        return *this;
    }

    template <class U = T>
    static offset_ptr pointer_to(std::enable_if_t<!std::is_void_v<U>, U> &object) noexcept
    {
        return offset_ptr(std::addressof(object));
    }

    T *get() const noexcept
    {
        return distance_ == null_distance ? nullptr
                                          : reinterpret_cast<T *>(own_address() + distance_);
    }
    T *operator->() const noexcept { return get(); }
    reference operator*() const noexcept { return *get(); }
    reference operator[](difference_type index) const noexcept { return get()[index]; }
    explicit operator bool() const noexcept { return distance_ != null_distance; }
    // For basic_string of libstdc++, which passes its pointer where a plain one is expected.
    operator T *() const noexcept { return get(); }

    offset_ptr &operator+=(difference_type count) noexcept
    {
        set(get() + count);
        return *this;
    }
    offset_ptr &operator-=(difference_type count) noexcept { return *this += -count; }
    offset_ptr &operator++() noexcept { return *this += 1; }
    offset_ptr &operator--() noexcept { return *this += -1; }
    offset_ptr operator++(int) noexcept { return shifted_after(1); }
    offset_ptr operator--(int) noexcept { return shifted_after(-1); }

    friend offset_ptr operator+(const offset_ptr &at, difference_type count) noexcept
    {
        return offset_ptr(at.get() + count);
    }
    friend offset_ptr operator+(difference_type count, const offset_ptr &at) noexcept
    {
        return offset_ptr(at.get() + count);
    }
    friend offset_ptr operator-(const offset_ptr &at, difference_type count) noexcept
    {
        return offset_ptr(at.get() - count);
    }

private:
    static constexpr std::uintptr_t null_distance = 1;

    // Integers, since C++ defines no difference between pointers to two objects; they wrap around.
    std::uintptr_t own_address() const noexcept { return reinterpret_cast<std::uintptr_t>(this); }
    void set(const volatile void *raw) noexcept
    {
        distance_ =
            raw == nullptr ? null_distance : reinterpret_cast<std::uintptr_t>(raw) - own_address();
    }
    offset_ptr shifted_after(difference_type count) noexcept
    {
        offset_ptr before(*this);
        *this += count;
        return before;
    }

    std::uintptr_t distance_ = null_distance;
};

// Between pointers that may differ in constness, and with plain ones. Templates, since each fits
// better than any conversion.
template <class T, class U>
std::ptrdiff_t operator-(const offset_ptr<T> &a, const offset_ptr<U> &b) noexcept
{
    return a.get() - b.get();
}
template <class T, class U>
bool operator==(const offset_ptr<T> &a, const offset_ptr<U> &b) noexcept
{
    return a.get() == b.get();
}
template <class T, class U>
bool operator!=(const offset_ptr<T> &a, const offset_ptr<U> &b) noexcept
{
    return a.get() != b.get();
}
template <class T, class U>
bool operator<(const offset_ptr<T> &a, const offset_ptr<U> &b) noexcept
{
    return a.get() < b.get();
}
template <class T, class U>
bool operator>(const offset_ptr<T> &a, const offset_ptr<U> &b) noexcept
{
    return a.get() > b.get();
}
template <class T, class U>
bool operator<=(const offset_ptr<T> &a, const offset_ptr<U> &b) noexcept
{
    return a.get() <= b.get();
}
template <class T, class U>
bool operator>=(const offset_ptr<T> &a, const offset_ptr<U> &b) noexcept
{
    return a.get() >= b.get();
}
template <class T, class U>
bool operator==(const offset_ptr<T> &a, U *b) noexcept
{
    return a.get() == b;
}
template <class T, class U>
bool operator==(U *a, const offset_ptr<T> &b) noexcept
{
    return a == b.get();
}
template <class T>
bool operator==(const offset_ptr<T> &a, std::nullptr_t) noexcept
{
    return a.get() == nullptr;
}
template <class T>
bool operator==(std::nullptr_t, const offset_ptr<T> &b) noexcept
{
    return b.get() == nullptr;
}
template <class T, class U>
bool operator!=(const offset_ptr<T> &a, U *b) noexcept
{
    return a.get() != b;
}
template <class T, class U>
bool operator!=(U *a, const offset_ptr<T> &b) noexcept
{
    return a != b.get();
}
template <class T>
bool operator!=(const offset_ptr<T> &a, std::nullptr_t) noexcept
{
    return a.get() != nullptr;
}
template <class T>
bool operator!=(std::nullptr_t, const offset_ptr<T> &b) noexcept
{
    return b.get() != nullptr;
}

} // namespace shmheap

template <class T>
struct std::hash<shmheap::offset_ptr<T>> {
    std::size_t operator()(const shmheap::offset_ptr<T> &at) const noexcept
    {
        return std::hash<T *>()(at.get());
    }
};

#endif
