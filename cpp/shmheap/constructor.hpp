// constructor.hpp: how construct and find_or_construct make a typed object with a name.
// heap.hpp includes it. SPDX-License-Identifier: Apache-2.0
#ifndef SHMHEAP_CPP_CONSTRUCTOR_HPP
#define SHMHEAP_CPP_CONSTRUCTOR_HPP

#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "heap.hpp"

namespace shmheap
{

// constructor<T> is the result of construct and find_or_construct. Call it, at once, with the
// arguments of T's constructor.
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
        std::string known = detail::named_cause(heap_->c_handle(), name_, error);
        return known.empty() ? detail::space_cause(heap_->c_handle(), sizeof(T), error) : known;
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

    // A death before publish leaves the name without an object, and memory that the dead process
    // held. The caller holds the name's lock.
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
