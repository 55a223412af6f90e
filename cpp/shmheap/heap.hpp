// heap.hpp: a connection to a heap, closed by its destructor.
// SPDX-License-Identifier: Apache-2.0
#ifndef SHMHEAP_CPP_HEAP_HPP
#define SHMHEAP_CPP_HEAP_HPP

#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "c.hpp"
#include "connections.hpp"
#include "error.hpp"
#include "name_lock.hpp"
#include "names.hpp"
#include "options.hpp"

namespace shmheap
{

template <class T>
class allocator;
template <class T>
class constructor;

// kept, as in find_or_construct<T>(name, kept)(arguments...): the name stays when all processes
// have died or disconnected, until destroy.
struct kept_t {
    explicit kept_t() = default;
};
inline constexpr kept_t kept{};

// heap is a connection of this process to a heap. Movable. Its pointers, allocators and memory
// resources are valid until it is closed. A heap that was moved from, closed, or not opened is
// false, and its calls fail with EINVAL.
class heap
{
public:
    heap() noexcept = default;
    heap(heap &&) noexcept = default;
    heap &operator=(heap &&) noexcept = default; // closes the old connection
    ~heap() = default;

    // Errors as shmheap_open; EINVAL also for a name with a NUL in it. create: EEXIST if a heap has
    // that name.
    static heap create(std::string_view name, const options &how = {})
    {
        return thrown("create", name, how, SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE);
    }
    static heap create(std::string_view name, const options &how, std::error_code &error)
    {
        return opened(name, how, SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE, error);
    }
    // open: ENOENT if no heap has that name. It ignores the sizes in how.
    static heap open(std::string_view name, const options &how = {})
    {
        return thrown("open", name, how, 0);
    }
    static heap open(std::string_view name, const options &how, std::error_code &error)
    {
        return opened(name, how, 0, error);
    }
    // open_or_create: an existing heap keeps its sizes.
    static heap open_or_create(std::string_view name, const options &how = {})
    {
        return thrown("open_or_create", name, how, SHMHEAP_CREATE);
    }
    static heap open_or_create(std::string_view name, const options &how, std::error_code &error)
    {
        return opened(name, how, SHMHEAP_CREATE, error);
    }
    // anonymous: for children made by fork(), and for processes that get fd().
    static heap anonymous(const options &how = {})
    {
        return thrown("anonymous", "", how, SHMHEAP_CREATE | SHMHEAP_ANONYMOUS);
    }
    static heap anonymous(const options &how, std::error_code &error)
    {
        return opened("", how, SHMHEAP_CREATE | SHMHEAP_ANONYMOUS, error);
    }
    // from_fd neither keeps nor closes fd. Of how, cached, read_only, huge_pages and timeout count.
    static heap from_fd(int fd, const options &how = {})
    {
        std::error_code error;
        heap result = from_fd(fd, how, error);
        detail::throw_if_c(error, "from_fd", std::to_string(fd));
        return result;
    }
    static heap from_fd(int fd, const options &how, std::error_code &error)
    {
        shmheap_memory_handle mem{};
        shmheap_options in_c = detail::options_in_c(how, 0);
        in_c.flags &= SHMHEAP_CACHED | SHMHEAP_READ_ONLY | SHMHEAP_HUGE_PAGES;
        return taken(mem, shmheap_open_fd(&mem, fd, &in_c), error);
    }
    // adopt takes over a connection of C, and closes it. If it cannot (EINVAL), mem stays as it is.
    static heap adopt(shmheap_memory_handle mem)
    {
        std::error_code error;
        if (!shmheap_valid(mem) || detail::connection_at(shmheap_underlying(mem)) != nullptr)
            detail::throw_if(detail::error_of(EINVAL), "adopt", {}, "the handle is not open");
        heap result = taken(mem, 0, error);
        detail::throw_if_c(error, "adopt");
        return result;
    }

    // remove removes the name, as shmheap_unlink. Connected processes go on.
    static void remove(std::string_view name)
    {
        std::error_code error;
        remove(name, error);
        detail::throw_if_c(error, "remove", name);
    }
    static bool remove(std::string_view name, std::error_code &error)
    {
        error.clear();
        if (detail::has_nul(name))
            error = detail::error_of(EINVAL);
        else if (shmheap_unlink(std::string(name).c_str()) != 0)
            error = detail::last_error();
        return !error;
    }

    explicit operator bool() const noexcept { return connection_ != nullptr; }
    void close() noexcept { connection_.reset(); }
    shmheap_memory_handle c_handle() const noexcept
    {
        return connection_ != nullptr ? connection_->mem : shmheap_memory_handle{};
    }
    int fd() const noexcept { return shmheap_fd(c_handle()); }

    // Objects without a type, as in C. Without an error, the object is not null.
    void *allocate(std::size_t bytes) const
    {
        std::error_code error;
        void *object = allocate(bytes, error);
        if (error == detail::error_of(ENOMEM))
            detail::throw_if(error, "allocate", {}, detail::space_cause(c_handle(), bytes, error));
        detail::throw_if_c(error, "allocate");
        return object;
    }
    void *allocate(std::size_t bytes, std::error_code &error) const noexcept
    {
        return checked(shmheap_alloc(c_handle(), bytes), error);
    }
    void *allocate_aligned(std::size_t alignment, std::size_t bytes,
                           std::error_code &error) const noexcept
    {
        bool plain = connection_ != nullptr && alignment <= connection_->entry->alignment;
        return plain ? allocate(bytes, error)
                     : checked(shmheap_aligned_alloc(c_handle(), alignment, bytes), error);
    }
    // EINVAL: no object of this heap; nothing happened. EPERM: a named object that this connection
    // does not use.
    void deallocate(void *object) const
    {
        std::error_code error;
        deallocate(object, error);
        detail::throw_if_c(error, "deallocate");
    }
    bool deallocate(void *object, std::error_code &error) const noexcept
    {
        error =
            shmheap_try_free(c_handle(), object) == 0 ? std::error_code() : detail::last_error();
        return !error;
    }
    // 8 bytes that mean the object in every process, and back. Errors: EINVAL, ESTALE.
    shmheap_object_handle handle_of(void *object) const
    {
        shmheap_object_handle handle = shmheap_ptr_to_handle(c_handle(), object);
        detail::throw_if_failed(handle.bits == 0, "handle_of");
        return handle;
    }
    void *resolve(shmheap_object_handle handle) const
    {
        std::error_code error;
        void *object = resolve(handle, error);
        detail::throw_if_c(error, "resolve");
        return object;
    }
    void *resolve(shmheap_object_handle handle, std::error_code &error) const noexcept
    {
        return checked(shmheap_handle_to_ptr(c_handle(), handle), error);
    }

    // Typed objects with names, 1 to 255 bytes (EINVAL, ENAMETOOLONG; EINVAL also for a NUL in it).
    // Every process finds an object once it is complete. The object stays until it is destroyed.
    // Exception: when all processes that looked it up were killed, shmheap_reap removes its name,
    // unless the name is kept. A call with kept makes an existing name kept. Do not reap with
    // SHMHEAP_REAP_SHARED then: it frees the objects of dead processes below kept names, too. T
    // must mean the same in all processes: no plain pointers, no virtual functions. A T for which
    // is_shareable<T> is false does not compile. EINVAL: the object is of another type (by size,
    // alignment and name, see type_name). ENOTSUP: the heap has no file.
    //
    // construct<T>(name)(arguments...): EEXIST if an object has that name.
    template <class T>
    constructor<T> construct(std::string_view name) const
    {
        return constructor<T>(*this, name, false, false, nullptr);
    }
    template <class T>
    constructor<T> construct(std::string_view name, std::error_code &error) const
    {
        return constructor<T>(*this, name, false, false, &error);
    }
    template <class T>
    constructor<T> construct(std::string_view name, kept_t) const
    {
        return constructor<T>(*this, name, false, true, nullptr);
    }
    template <class T>
    constructor<T> construct(std::string_view name, kept_t, std::error_code &error) const
    {
        return constructor<T>(*this, name, false, true, &error);
    }
    // find_or_construct<T>(name)(arguments...): one of all callers constructs, and the rest wait
    // for it (ETIMEDOUT after 30 s). If it dies meanwhile, or its constructor throws, the next
    // caller constructs. After a death shmheap_reap frees the memory for T, and SHMHEAP_REAP_SHARED
    // that of containers in T.
    template <class T>
    constructor<T> find_or_construct(std::string_view name) const
    {
        return constructor<T>(*this, name, true, false, nullptr);
    }
    template <class T>
    constructor<T> find_or_construct(std::string_view name, std::error_code &error) const
    {
        return constructor<T>(*this, name, true, false, &error);
    }
    template <class T>
    constructor<T> find_or_construct(std::string_view name, kept_t) const
    {
        return constructor<T>(*this, name, true, true, nullptr);
    }
    template <class T>
    constructor<T> find_or_construct(std::string_view name, kept_t, std::error_code &error) const
    {
        return constructor<T>(*this, name, true, true, &error);
    }
    // find returns null, without an error, if no object has that name.
    template <class T>
    T *find(std::string_view name) const
    {
        std::error_code error;
        T *object = find<T>(name, error);
        detail::throw_if(error, "find", name, detail::named_cause(c_handle(), name, error));
        return object;
    }
    template <class T>
    T *find(std::string_view name, std::error_code &error) const
    {
        if (!name_check(name, error))
            return nullptr;
        return static_cast<T *>(
            connection_->objects.find(std::string(name), detail::shape_of<T>(), error));
    }
    // destroy runs the destructor and removes the name. A process that still has a pointer must not
    // use it. Returns false if no object has that name. A death inside leaves no name, and perhaps
    // memory that the object held.
    template <class T>
    bool destroy(std::string_view name) const
    {
        std::error_code error;
        bool done = destroy<T>(name, error);
        detail::throw_if(error, "destroy", name, detail::named_cause(c_handle(), name, error));
        return done;
    }
    template <class T>
    bool destroy(std::string_view name, std::error_code &error) const
    {
        if (!name_check(name, error))
            return false;
        std::string text(name);
        detail::name_lock lock(connection_->objects.files(), c_handle(), name, error);
        void *object = lock.valid()
                           ? connection_->objects.withdraw(text, detail::shape_of<T>(), error)
                           : nullptr;
        if (object == nullptr)
            return false;
        static_cast<T *>(object)->~T();
        shmheap_free(c_handle(), object);
        connection_->objects.retire(text);
        return true;
    }

    // For containers in this heap; include allocator.hpp.
    template <class T>
    allocator<T> get_allocator() const noexcept;

    // The figures; the report of shmheap_check, whose rule is 0 for a sound heap; the number of
    // blocks that shmheap_reap freed.
    shmheap_stats stat() const
    {
        shmheap_stats stats{};
        detail::throw_if_failed(shmheap_stat(c_handle(), &stats) != 0, "stat");
        return stats;
    }
    shmheap_report check() const
    {
        shmheap_report report{};
        detail::throw_if_failed(shmheap_check(c_handle(), &report) < 0, "check");
        return report;
    }
    long reap(unsigned flags = 0) const
    {
        long freed = shmheap_reap(c_handle(), flags);
        detail::throw_if_failed(freed < 0, "reap");
        return freed;
    }

private:
    template <class T>
    friend class constructor;

    // connection is private to the process.
    struct connection {
        connection(shmheap_memory_handle of, std::size_t alignment)
            : mem(of), entry(detail::connection_add(of, alignment)), objects(of)
        {
        }
        ~connection()
        {
            objects.leave();
            detail::connection_remove(entry);
            shmheap_disconnect(mem);
        }
        shmheap_memory_handle mem;
        detail::connection_entry *entry;
        detail::names objects;
    };

    static heap opened(std::string_view name, const options &how, unsigned flags,
                       std::error_code &error)
    {
        shmheap_memory_handle mem{};
        shmheap_options in_c = detail::options_in_c(how, flags);
        if (detail::has_nul(name)) {
            error = detail::error_of(EINVAL);
            return heap();
        }
        return taken(mem, shmheap_open(&mem, std::string(name).c_str(), &in_c), error);
    }
    static heap thrown(const char *call, std::string_view name, const options &how, unsigned flags)
    {
        std::error_code error;
        heap result = opened(name, how, flags, error);
        if (error == detail::error_of(EEXIST) && !how.take_over)
            detail::throw_if(error, call, name,
                             "a heap of that name is there: open it, choose another name, or "
                             "remove it");
        detail::throw_if_c(error, call, name);
        return result;
    }
    // result is what the C call that filled mem returned.
    static heap taken(shmheap_memory_handle &mem, int result, std::error_code &error)
    {
        heap made;
        shmheap_stats stats{};
        error = result == 0 ? std::error_code() : detail::last_error();
        if (error)
            return made;
        if (shmheap_stat(mem, &stats) == 0)
            made.connection_ =
                std::make_unique<connection>(mem, static_cast<std::size_t>(stats.alignment));
        else {
            error = detail::last_error();
            shmheap_disconnect(mem);
        }
        return made;
    }
    static void *checked(void *object, std::error_code &error) noexcept
    {
        error = object != nullptr ? std::error_code() : detail::last_error();
        return object;
    }
    bool name_check(std::string_view name, std::error_code &error) const noexcept
    {
        error.clear();
        if (connection_ == nullptr || name.empty() || detail::has_nul(name))
            error = detail::error_of(EINVAL);
        else if (name.size() > 255)
            error = detail::error_of(ENAMETOOLONG);
        return !error;
    }

    std::unique_ptr<connection> connection_;
};

} // namespace shmheap

#include "constructor.hpp"

#endif
