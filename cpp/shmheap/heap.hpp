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

// kept, as in find_or_construct<T>(name, kept)(arguments...): the name stays when all processes have died or left, until
// destroy.
struct kept_t {
    explicit kept_t() = default;
};
inline constexpr kept_t kept{};

// heap is a connection of this process to a heap. Movable; its pointers, allocators and memory resources are good
// until it is closed. A heap that was moved from, closed, or not opened is false, and its calls fail with EINVAL.
class heap
{
public:
    heap() noexcept = default;
    heap(heap &&) noexcept = default;
    heap &operator=(heap &&) noexcept = default; // closes what was there
    ~heap() = default;

    // Errors as shmheap_open has them; EINVAL also for a name with a NUL in it.
    // create: EEXIST when there is one of that name.
    static heap create(std::string_view name, const options &how = {})
    {
        return thrown("create", name, how, SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE);
    }
    static heap create(std::string_view name, const options &how, std::error_code &error)
    {
        return opened(name, how, SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE, error);
    }
    // open: ENOENT when there is none. The sizes in how do not count.
    static heap open(std::string_view name, const options &how = {})
    {
        return thrown("open", name, how, 0);
    }
    static heap open(std::string_view name, const options &how, std::error_code &error)
    {
        return opened(name, how, 0, error);
    }
    // open_or_create: the sizes of what is there hold.
    static heap open_or_create(std::string_view name, const options &how = {})
    {
        return thrown("open_or_create", name, how, SHMHEAP_CREATE);
    }
    static heap open_or_create(std::string_view name, const options &how, std::error_code &error)
    {
        return opened(name, how, SHMHEAP_CREATE, error);
    }
    // anonymous: for children made by fork() and whoever gets fd().
    static heap anonymous(const options &how = {})
    {
        return thrown("anonymous", "", how, SHMHEAP_CREATE | SHMHEAP_ANONYMOUS);
    }
    static heap anonymous(const options &how, std::error_code &error)
    {
        return opened("", how, SHMHEAP_CREATE | SHMHEAP_ANONYMOUS, error);
    }
    // from_fd: fd is neither kept nor closed; of how, cached, read_only, huge_pages and timeout count.
    static heap from_fd(int fd, const options &how = {})
    {
        std::error_code error;
        heap result = from_fd(fd, how, error);
        detail::throw_if(error, "from_fd", std::to_string(fd));
        return result;
    }
    static heap from_fd(int fd, const options &how, std::error_code &error)
    {
        shmheap_memory_handle mem{};
        shmheap_options in_c = detail::options_in_c(how, 0);
        in_c.flags &= SHMHEAP_CACHED | SHMHEAP_READ_ONLY | SHMHEAP_HUGE_PAGES;
        return taken(mem, shmheap_open_fd(&mem, fd, &in_c), error);
    }
    // adopt: a connection got from C, which the heap closes. Where nothing can be adopted (EINVAL), mem stays as it is.
    static heap adopt(shmheap_memory_handle mem)
    {
        std::error_code error;
        if (!shmheap_valid(mem) || detail::connection_at(shmheap_underlying(mem)) != nullptr)
            detail::throw_if(detail::error_of(EINVAL), "adopt");
        heap result = taken(mem, 0, error);
        detail::throw_if(error, "adopt");
        return result;
    }

    // remove: takes the name away, as shmheap_unlink; who is connected goes on.
    static void remove(std::string_view name)
    {
        std::error_code error;
        remove(name, error);
        detail::throw_if(error, "remove", name);
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

    // Objects without a type, as in C; zero errors: the object is not null.
    void *allocate(std::size_t bytes) const
    {
        std::error_code error;
        void *object = allocate(bytes, error);
        detail::throw_if(error, "allocate", {}, space_cause(bytes, error));
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
    // EINVAL: no object of this heap, and nothing happened; EPERM: a named one that this connection does not use.
    void deallocate(void *object) const
    {
        std::error_code error;
        deallocate(object, error);
        detail::throw_if(error, "deallocate");
    }
    bool deallocate(void *object, std::error_code &error) const noexcept
    {
        error =
            shmheap_try_free(c_handle(), object) == 0 ? std::error_code() : detail::last_error();
        return !error;
    }
    // 8 bytes that mean the object in every process, and back: EINVAL, ESTALE.
    shmheap_object_handle handle_of(void *object) const
    {
        shmheap_object_handle handle = shmheap_ptr_to_handle(c_handle(), object);
        detail::throw_if(handle.bits != 0 ? std::error_code() : detail::last_error(), "handle_of");
        return handle;
    }
    void *resolve(shmheap_object_handle handle) const
    {
        std::error_code error;
        void *object = resolve(handle, error);
        detail::throw_if(error, "resolve");
        return object;
    }
    void *resolve(shmheap_object_handle handle, std::error_code &error) const noexcept
    {
        return checked(shmheap_handle_to_ptr(c_handle(), handle), error);
    }

    // Typed objects with names, 1 to 255 bytes (EINVAL, ENAMETOOLONG; EINVAL also for a NUL in it). An object is
    // found by every process once it is complete, and stays until it is destroyed; but when all who looked it up were
    // killed, shmheap_reap takes its name away, unless the name is kept. A name that exists already
    // becomes kept when it is asked for with kept. SHMHEAP_REAP_SHARED frees the objects of the dead
    // below kept names, too: do not reap with it then. T must mean the same in all processes: no
    // plain pointers, no virtual functions; what is_shareable<T> denies does not compile. Another
    // type than the object has (by its size, alignment and name, see type_name): EINVAL. On heaps
    // with a file only (ENOTSUP).
    //
    // construct<T>(name)(arguments...): EEXIST when there is one.
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
    // find_or_construct<T>(name)(arguments...): of all who come at once one constructs, the others wait for it
    // (ETIMEDOUT after 30 s). If it dies in there, or its constructor throws, the next one constructs anew. After a
    // death the memory for T comes back by shmheap_reap, that of containers in T by SHMHEAP_REAP_SHARED only.
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
    // find: null (and no error) when there is none.
    template <class T>
    T *find(std::string_view name) const
    {
        std::error_code error;
        T *object = find<T>(name, error);
        detail::throw_if(error, "find", name, type_cause(name, error));
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
    // destroy: runs the destructor and takes the name away; whoever still has a pointer must not use it. False: there
    // was none. A death in the middle leaves no name, and perhaps memory that the object held.
    template <class T>
    bool destroy(std::string_view name) const
    {
        std::error_code error;
        bool done = destroy<T>(name, error);
        detail::throw_if(error, "destroy", name, type_cause(name, error));
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

    // Figures; shmheap_check's report, whose rule is 0 for a sound heap; and how many objects of the dead were freed.
    shmheap_stats stat() const
    {
        shmheap_stats stats{};
        detail::throw_if(shmheap_stat(c_handle(), &stats) == 0 ? std::error_code()
                                                               : detail::last_error(),
                         "stat");
        return stats;
    }
    shmheap_report check() const
    {
        shmheap_report report{};
        detail::throw_if(shmheap_check(c_handle(), &report) >= 0 ? std::error_code()
                                                                 : detail::last_error(),
                         "check");
        return report;
    }
    long reap(unsigned flags = 0) const
    {
        long freed = shmheap_reap(c_handle(), flags);
        detail::throw_if(freed >= 0 ? std::error_code() : detail::last_error(), "reap");
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
        const char *cause = "";
        if (error == detail::error_of(EEXIST))
            cause = "a heap of that name is there: open it, choose another name, or remove it";
        detail::throw_if(error, call, name, cause);
        return result;
    }
    // result: what the C call that filled mem returned.
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
    // For messages: why a call failed with ENOMEM; empty for other errors.
    std::string space_cause(std::size_t bytes, const std::error_code &error) const
    {
        shmheap_stats stats{};
        if (error != detail::error_of(ENOMEM) || shmheap_stat(c_handle(), &stats) != 0)
            return {};
        return "no space for " + std::to_string(bytes) + " bytes; the largest that fits has " +
               std::to_string(stats.largest_free);
    }
    // For messages: why a call with a good name failed with EINVAL; empty for other errors.
    std::string type_cause(std::string_view name, const std::error_code &error) const
    {
        std::error_code of_name;
        if (error != detail::error_of(EINVAL) || !name_check(name, of_name))
            return {};
        return "the object is of another type, or no C++ object";
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

// constructor<T> is what construct and find_or_construct return: call it, at once, with the arguments of T's
// constructor.
template <class T>
class constructor
{
public:
    template <class... Arguments>
    T *operator()(Arguments &&...arguments) const
    {
        std::error_code error;
        T *object = make(error, std::forward<Arguments>(arguments)...);
        if (error_ != nullptr)
            *error_ = error;
        else
            detail::throw_if(error, may_exist_ ? "find_or_construct" : "construct", name_,
                             cause(error));
        return object;
    }

private:
    friend class heap;
    constructor(const heap &in, std::string_view name, bool may_exist, bool kept,
                std::error_code *error)
        : heap_(&in), name_(name), may_exist_(may_exist), kept_(kept), error_(error)
    {
    }

    std::string cause(const std::error_code &error) const
    {
        if (error == detail::error_of(EEXIST))
            return "an object of that name is there: find it, or destroy it first";
        return error == detail::error_of(EINVAL) ? heap_->type_cause(name_, error)
                                                 : heap_->space_cause(sizeof(T), error);
    }

    template <class... Arguments>
    T *make(std::error_code &error, Arguments &&...arguments) const
    {
        if (!heap_->name_check(name_, error))
            return nullptr;
        detail::names &objects = heap_->connection_->objects;
        void *there = objects.find(name_, detail::shape_of<T>(), error);
        if (there == nullptr && !error) {
            detail::name_lock lock(objects.files(), heap_->c_handle(), name_, error);
            if (!lock.valid())
                return nullptr;
            there = objects.find(name_, detail::shape_of<T>(), error);
            if (there == nullptr && !error)
                return make_locked(error, std::forward<Arguments>(arguments)...);
        }
        if (there != nullptr && !may_exist_)
            error = detail::error_of(EEXIST);
        else if (there != nullptr && kept_)
            objects.keep(name_, error);
        return error ? nullptr : static_cast<T *>(there);
    }

    // Until publish a death leaves the name without an object, and memory that is the dead one's.
    template <class... Arguments>
    T *make_locked(std::error_code &error, Arguments &&...arguments) const
    {
        detail::names &objects = heap_->connection_->objects;
        detail::name_cell *cell = objects.cell_make(name_, kept_, error);
        void *memory =
            cell != nullptr ? heap_->allocate_aligned(alignof(T), sizeof(T), error) : nullptr;
        if (memory == nullptr) {
            if (cell != nullptr)
                objects.retire(name_);
            return nullptr;
        }
        T *object;
        try {
            object = ::new (memory) T(std::forward<Arguments>(arguments)...);
        } catch (...) {
            shmheap_free(heap_->c_handle(), memory);
            objects.retire(name_);
            throw;
        }
        objects.publish(*cell, memory, detail::shape_of<T>());
        return object;
    }

    const heap *heap_;
    std::string name_;
    bool may_exist_, kept_;
    std::error_code *error_;
};

} // namespace shmheap

#endif
