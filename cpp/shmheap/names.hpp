// names.hpp: the cell that a name of a typed object leads to.
// SPDX-License-Identifier: Apache-2.0
#ifndef SHMHEAP_CPP_NAMES_HPP
#define SHMHEAP_CPP_NAMES_HPP

#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_set>

#include "c.hpp"
#include "error.hpp"
#include "name_lock.hpp"
#include "shareable.hpp"

namespace shmheap::detail
{

// name_cell lives in shared memory. It is the object of shmheap_alloc_named, and refers to the
// typed object. Invariants: (1) self is the cell's own handle, or the cell holds nothing yet (fresh
// memory, whose contents cannot contain the generation of its block); (2) body is 0, or the handle
// of a complete object of len bytes whose type has that fingerprint. Words change only under the
// name's lock. The store of body publishes the object, or withdraws it. The heap refuses a handle
// that it does not know, whatever a peer writes here.
struct name_cell {
    std::uint64_t self, body, len, alignment, type;
};

inline std::uint64_t cell_load(const std::uint64_t &word) noexcept
{
    return __atomic_load_n(&word, __ATOMIC_ACQUIRE);
}
inline void cell_store(std::uint64_t &word, std::uint64_t value) noexcept
{
    __atomic_store_n(&word, value, __ATOMIC_RELEASE);
}

// The size, alignment and type that a caller requests.
struct shape {
    std::size_t len, alignment;
    std::uint64_t type; // fingerprint; 0: of any
};
template <class T>
shape shape_of() noexcept
{
    static_assert(
        is_shareable<T>,
        "this type keeps plain pointers, which mean nothing in another process, or is not known to "
        "be free of them: see shmheap::is_shareable");
    return {sizeof(T), alignof(T), fingerprint<T>()};
}

// names is private to the process: the names that one connection uses. The core counts uses by
// connection, and reaping gives back those of dead processes. So each connection that has looked an
// object up holds one use. It keeps the name while a process lives that knows the object.
// Disconnecting leaves the use: the object stays for later processes. A kept name stays without
// uses, until its object is destroyed.
class names
{
public:
    explicit names(shmheap_memory_handle mem) noexcept : mem_(mem) {}
    names(const names &) = delete;
    names &operator=(const names &) = delete;

    // Files for locking names.
    lock_files &files() noexcept { return files_; }

    // Returns the complete object of that name, and takes a use of it. Null without an error: none
    // has that name.
    void *find(const std::string &name, const shape &wanted, std::error_code &error)
    {
        found object = look(name, wanted, error);
        if (object.body != nullptr)
            hold(name, object.cell);
        return object.body;
    }

    // Returns the cell of that name, made if there is none, with a use of this connection. kept:
    // the name stays without uses. The caller holds the name's lock.
    name_cell *cell_make(const std::string &name, bool kept, std::error_code &error)
    {
        void *object = (kept ? shmheap_alloc_kept : shmheap_alloc_named)(mem_, name.c_str(),
                                                                         sizeof(name_cell));
        if (object == nullptr)
            return error = last_error(), nullptr;
        auto cell = static_cast<name_cell *>(object);
        std::uint64_t self = handle_of(cell);
        if (cell_load(cell->self) != self) {
            cell_store(cell->body, 0);
            cell_store(cell->self, self);
        }
        if (!hold_first(self))
            shmheap_free(mem_, cell);
        return cell;
    }

    // The name stays when all processes that used it have died or disconnected.
    void keep(const std::string &name, std::error_code &error)
    {
        if (shmheap_name_keep(mem_, name.c_str()) != 0)
            error = last_error();
    }

    // find returns this object from now on. A death before the last store leaves the name without
    // one.
    void publish(name_cell &cell, void *object, const shape &of) noexcept
    {
        cell_store(cell.len, of.len);
        cell_store(cell.alignment, of.alignment);
        cell_store(cell.type, of.type);
        cell_store(cell.body, handle_of(object));
    }

    // Returns the old object, which find no longer returns; null: none. The caller holds the name's
    // lock.
    void *withdraw(const std::string &name, const shape &wanted, std::error_code &error)
    {
        found object = look(name, wanted, error);
        if (object.body != nullptr)
            cell_store(object.cell->body, 0);
        return object.body;
    }

    // Gives back the uses that this connection may give back of a cell without an object. The last
    // use ends the name. Other live connections give back theirs when they close. The caller holds
    // the name's lock.
    void retire(const std::string &name)
    {
        std::error_code ignored;
        name_cell *cell = cell_find(name, ignored);
        if (cell == nullptr || cell_load(cell->body) != 0)
            return;
        std::uint64_t self = handle_of(cell);
        // Not kept any more. If no live process uses the name, it is gone.
        if (shmheap_name_remove(mem_, name.c_str()) == 0) {
            forget(self);
            return;
        }
        shmheap_memory_handle anchor;
        if (!anchor_open(anchor)) {
            if (forget(self))
                shmheap_free(mem_, cell);
            return;
        }
        retire_anchored(name, cell, self, anchor);
    }

    // Before disconnecting: gives back uses of names whose objects other connections have
    // destroyed.
    void leave() noexcept
    {
        std::lock_guard<std::mutex> guard(mutex_);
        forget_parents();
        for (std::uint64_t self : held_) {
            auto cell = static_cast<name_cell *>(shmheap_handle_to_ptr(mem_, {self}));
            if (cell != nullptr && cell_load(cell->body) == 0)
                shmheap_free(mem_, cell);
        }
        held_.clear();
        if (shmheap_valid(anchor_) && anchor_generation_ == forks())
            shmheap_disconnect(anchor_);
    }

private:
    struct found {
        name_cell *cell;
        void *body;
    };

    std::uint64_t handle_of(void *object) const noexcept
    {
        return shmheap_ptr_to_handle(mem_, object).bits;
    }

    // Null without an error: there is no cell, or it has never held anything. EINVAL: the object of
    // that name is no cell.
    name_cell *cell_find(const std::string &name, std::error_code &error) const
    {
        error.clear();
        std::size_t len = 0;
        void *object = shmheap_find(mem_, name.c_str(), &len);
        if (object == nullptr) {
            if (errno != ENOENT)
                error = last_error();
            return nullptr;
        }
        auto cell = static_cast<name_cell *>(object);
        if (len != sizeof(name_cell))
            return error = error_of(EINVAL), nullptr;
        return cell_load(cell->self) == handle_of(cell) ? cell : nullptr;
    }

    // Without the name's lock, cell and object may go, or be replaced, at any time. So the object
    // found, or an error, counts only if the cell is the same before and after. EAGAIN: it changed
    // in every try.
    found look(const std::string &name, const shape &wanted, std::error_code &error) const
    {
        for (int i = 0; i < tries; i++) {
            name_cell *cell = cell_find(name, error);
            if (cell == nullptr)
                return {};
            std::uint64_t self = cell_load(cell->self), body = cell_load(cell->body);
            void *object = body != 0 ? body_of(*cell, body, wanted, error) : nullptr;
            if (cell_load(cell->body) == body && cell_load(cell->self) == self &&
                handle_of(cell) == self)
                return {cell, object};
        }
        error = error_of(EAGAIN);
        return {};
    }

    // EINVAL: the object is of another size or type. EBADMSG: the cell holds impossible values.
    // Null without an error: the object was freed.
    void *body_of(const name_cell &cell, std::uint64_t body, const shape &wanted,
                  std::error_code &error) const
    {
        std::uint64_t type = cell_load(cell.type);
        if (cell_load(cell.len) != wanted.len || cell_load(cell.alignment) != wanted.alignment ||
            (type != wanted.type && type != 0 && wanted.type != 0))
            return error = error_of(EINVAL), nullptr;
        void *object = shmheap_handle_to_ptr(mem_, {body});
        if (object == nullptr && errno == ESTALE)
            return nullptr;
        if (object == nullptr || shmheap_usable_size(mem_, object) < wanted.len ||
            reinterpret_cast<std::uintptr_t>(object) % wanted.alignment != 0)
            return error = error_of(EBADMSG), nullptr;
        return object;
    }

    // If there is no space for the use, the object is found nevertheless.
    void hold(const std::string &name, name_cell *cell)
    {
        std::uint64_t self = handle_of(cell);
        if (is_held(self))
            return;
        void *object = shmheap_alloc_named(mem_, name.c_str(), sizeof(name_cell));
        if (object != nullptr && (object != cell || handle_of(object) != self || !hold_first(self)))
            shmheap_free(mem_, object);
    }

    void retire_anchored(const std::string &name, name_cell *cell, std::uint64_t self,
                         shmheap_memory_handle anchor)
    {
        // While the anchor uses the cell, it stays, so no free below meets an object that took its
        // place.
        void *same = shmheap_alloc_named(anchor, name.c_str(), sizeof(name_cell));
        if (same != nullptr && shmheap_ptr_to_handle(anchor, same).bits == self) {
            for (int i = 0; i < uses_at_once && shmheap_try_free(mem_, cell) == 0; i++)
                continue;
            forget(self);
        }
        if (same != nullptr)
            shmheap_free(anchor, same);
    }

    // The anchor is a second connection, made at the first need.
    bool anchor_open(shmheap_memory_handle &anchor)
    {
        std::lock_guard<std::mutex> guard(mutex_);
        forget_parents();
        if (!shmheap_valid(anchor_) && shmheap_open_fd(&anchor_, shmheap_fd(mem_), nullptr) != 0)
            return false;
        anchor_generation_ = forks();
        anchor = anchor_;
        return true;
    }

    bool is_held(std::uint64_t self)
    {
        std::lock_guard<std::mutex> guard(mutex_);
        forget_parents();
        return held_.count(self) != 0;
    }
    bool hold_first(std::uint64_t self)
    {
        std::lock_guard<std::mutex> guard(mutex_);
        forget_parents();
        return held_.insert(self).second;
    }
    bool forget(std::uint64_t self)
    {
        std::lock_guard<std::mutex> guard(mutex_);
        forget_parents();
        return held_.erase(self) != 0;
    }

    // A child made by fork() has the list but not the uses. The caller holds mutex_.
    void forget_parents() noexcept
    {
        if (generation_ == forks())
            return;
        generation_ = forks();
        held_.clear();
    }

    static constexpr int uses_at_once = 4096; // a peer may write any count
    static constexpr int tries = 1000;        // and may write forever

    shmheap_memory_handle mem_;
    lock_files files_;
    std::mutex mutex_;
    std::unordered_set<std::uint64_t> held_; // by the cell's handle
    unsigned generation_ = forks(), anchor_generation_ = 0;
    shmheap_memory_handle anchor_{};
};

} // namespace shmheap::detail

#endif
