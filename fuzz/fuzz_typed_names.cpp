// fuzz_typed_names.cpp: typed objects with names (cpp/shmheap/names.hpp), through two connections.
//
// After each n-th operation the heap is sound, and each connection finds each object with its
// value, and no other object. A marked operation is a peer's write into the cell of a name.
// Afterwards the calls on that name may fail, and the heap stays sound.
// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <system_error>

#include <unistd.h>

#include <shmheap.hpp>

extern "C" {
#include "fuzz/driver/input.h"
#include "fuzz/world/op.h"
#include "fuzz/world/world.h"
}

namespace
{

constexpr unsigned steps_max = 200, names_count = 6, types_count = 4;

// The constructor of a throwing type throws for odd values.
struct constructor_failed {
};
struct point {
    long x, y;
    explicit point(long value) : x(value), y(~value) {}
    bool is(long value) const { return x == value && y == ~value; }
};
struct alignas(64) wide {
    long value;
    char rest[200];
    explicit wide(long from) : value(from), rest() {}
    bool is(long other) const { return value == other; }
};
struct number {
    std::int32_t value;
    explicit number(long from) : value(static_cast<std::int32_t>(from)) {}
    bool is(long other) const { return value == static_cast<std::int32_t>(other); }
};
struct throwing {
    long value;
    explicit throwing(long from) : value(from)
    {
        if (from & 1)
            throw constructor_failed();
    }
    bool is(long other) const { return value == other; }
};

// The expected state of a name.
struct object {
    bool there = false, wild = false; // wild: a peer has written into its cell
    unsigned type = 0;
    long value = 0;
};

class names_world
{
public:
    explicit names_world(const shmheap::options &how)
    {
        sides_[0].emplace(shmheap::heap::anonymous(how));
        fd_ = dup(sides_[0]->fd());
        FUZZ_CHECK(fd_ >= 0);
        sides_[1].emplace(shmheap::heap::from_fd(fd_));
    }
    names_world(const names_world &) = delete;
    names_world &operator=(const names_world &) = delete;
    ~names_world() { close(fd_); }

    void step(const op &operation)
    {
        side_ = operation.side;
        which_ = operation.which % names_count;
        unsigned type = operation.which / names_count % types_count;
        long value = static_cast<long>(operation.size);
        bool kept = operation.size & 32;
        if (operation.marked)
            return peer_writes(operation);
        switch (operation.kind % 8) {
            case 0:
                return with_type(type, [&](auto tag) { make(tag, value, kept, false); });
            case 1:
            case 2:
                return with_type(type, [&](auto tag) { make(tag, value, kept, true); });
            case 3:
                return with_type(type, [&](auto tag) { destroy(tag); });
            case 4:
                return with_type(expected().type, [&](auto tag) { destroy(tag); });
            case 5:
                return with_type(type, [&](auto tag) { find(tag, side_); });
            case 6:
                return reconnect();
            default:
                return other_calls(operation);
        }
    }

    void check()
    {
        FUZZ_CHECK(sides_[0]->check().rule == 0);
        for (which_ = 0; which_ < names_count; which_++)
            for (unsigned side = 0; side < 2; side++)
                with_type(expected().type, [&](auto tag) { find(tag, side); });
    }

private:
    template <class T>
    struct of_type {
        using type = T;
    };

    template <class Call>
    static void with_type(unsigned type, const Call &call)
    {
        switch (type) {
            case 0:
                return call(of_type<point>());
            case 1:
                return call(of_type<wide>());
            case 2:
                return call(of_type<number>());
            default:
                return call(of_type<throwing>());
        }
    }
    template <class T>
    static constexpr unsigned number_of()
    {
        return std::is_same_v<T, point>    ? 0
               : std::is_same_v<T, wide>   ? 1
               : std::is_same_v<T, number> ? 2
                                           : 3;
    }

    object &expected() { return objects_[which_]; }
    std::string name() const
    {
        return which_ == 5 ? std::string(255, 'n')
                           : std::string(1, static_cast<char>('a' + which_));
    }

    template <class T>
    void make(of_type<T>, long value, bool kept, bool may_exist)
    {
        const shmheap::heap &heap = *sides_[side_];
        std::error_code error;
        T *made = nullptr;
        bool threw = false;
        SAY("/* side %u: %s<type %u>(\"%c\")(%ld), kept %d */", side_,
            may_exist ? "find_or_construct" : "construct", number_of<T>(), name()[0], value, kept);
        try {
            if (may_exist)
                made = kept ? heap.find_or_construct<T>(name(), shmheap::kept, error)(value)
                            : heap.find_or_construct<T>(name(), error)(value);
            else
                made = kept ? heap.construct<T>(name(), shmheap::kept, error)(value)
                            : heap.construct<T>(name(), error)(value);
        } catch (const constructor_failed &) {
            threw = true;
        }
        made_check(made, error, threw, value, may_exist);
    }

    template <class T>
    void made_check(T *made, std::error_code error, bool threw, long value, bool may_exist)
    {
        object &known = expected();
        bool same = known.type == number_of<T>();
        if (known.wild) {
            if (made != nullptr)
                known = {true, true, number_of<T>(), value};
            return;
        }
        if (known.there && same && may_exist) {
            FUZZ_CHECK(made != nullptr && !error && made->is(known.value));
        } else if (known.there) {
            FUZZ_CHECK(made == nullptr && error.value() == (same ? EEXIST : EINVAL));
        } else if (threw) {
            FUZZ_CHECK(number_of<T>() == 3 && (value & 1));
        } else {
            FUZZ_CHECK((made != nullptr && made->is(value)) || error.value() == ENOMEM);
            if (made != nullptr)
                known = {true, false, number_of<T>(), value};
        }
    }

    template <class T>
    void find(of_type<T>, unsigned side)
    {
        std::error_code error;
        T *found = sides_[side]->find<T>(name(), error);
        const object &known = expected();
        if (known.wild)
            return;
        if (!known.there)
            FUZZ_CHECK(found == nullptr && !error);
        else if (known.type == number_of<T>())
            FUZZ_CHECK(found != nullptr && !error && found->is(known.value));
        else
            FUZZ_CHECK(found == nullptr && error.value() == EINVAL);
    }

    template <class T>
    void destroy(of_type<T>)
    {
        std::error_code error;
        SAY("/* side %u: destroy<type %u>(\"%c\") */", side_, number_of<T>(), name()[0]);
        bool done = sides_[side_]->destroy<T>(name(), error);
        object &known = expected();
        if (known.wild)
            return;
        bool same = known.type == number_of<T>();
        FUZZ_CHECK(done == (known.there && same));
        FUZZ_CHECK(error.value() == (known.there && !same ? EINVAL : 0));
        if (done)
            known = {};
    }

    // Objects stay when a connection ends, whether or not their names are kept.
    void reconnect()
    {
        SAY("/* side %u: closes and opens */", side_);
        sides_[side_].reset();
        sides_[side_].emplace(shmheap::heap::from_fd(fd_));
    }

    // Calls that change no typed object: refused names, reaping, another object's memory.
    void other_calls(const op &operation)
    {
        const shmheap::heap &heap = *sides_[side_];
        std::error_code error;
        SAY("/* side %u: other calls, %u */", side_, operation.which);
        FUZZ_CHECK(heap.find<point>("", error) == nullptr && error.value() == EINVAL);
        FUZZ_CHECK(heap.construct<point>(std::string(256, 'n'), error)(1) == nullptr &&
                   error.value() == ENAMETOOLONG);
        FUZZ_CHECK(!heap.destroy<number>(std::string("a\0b", 3), error) && error.value() == EINVAL);
        FUZZ_CHECK(heap.reap() == 0);
        void *memory = heap.allocate(operation.size % 1000, error);
        if (memory != nullptr)
            heap.deallocate(memory);
    }

    // The cell is the object of the name. The name's lock and the heap's own data are elsewhere.
    void peer_writes(const op &operation)
    {
        std::size_t len = 0;
        void *cell = shmheap_find(sides_[side_]->c_handle(), name().c_str(), &len);
        if (cell == nullptr || len < sizeof(std::uint64_t))
            return;
        std::size_t at = operation.which / 8 % (len / 8) * 8;
        std::uint64_t word = 0, change = operation.size & 1 ? operation.size
                                                            : UINT64_C(1) << operation.size % 64;
        std::memcpy(&word, static_cast<char *>(cell) + at, sizeof word);
        word = operation.size & 2 ? change : word ^ change;
        SAY("/* a peer: word %zu of the cell of \"%c\" = 0x%llx */", at / 8, name()[0],
            static_cast<unsigned long long>(word));
        std::memcpy(static_cast<char *>(cell) + at, &word, sizeof word);
        expected().wild = true;
    }

    std::optional<shmheap::heap> sides_[2];
    object objects_[names_count];
    unsigned side_ = 0, which_ = 0;
    int fd_ = -1;
};

} // namespace

// The first byte gives the heap's length, the second how often all is checked.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *bytes, std::size_t len)
{
    static const unsigned char intervals[] = {8, 1, 4, 32};
    struct input input = {bytes, bytes + len};
    world_input(bytes, len);
    shmheap::options how;
    how.len = 4096 + 64 * input_byte(&input);
    unsigned every = intervals[input_byte(&input) & 3];
    names_world world(how);
    for (unsigned i = 0; i < steps_max && input_more(&input); i++) {
        world.step(op_decode(&input));
        if (i % every == 0)
            world.check();
    }
    world.check();
    return 0;
}
