// c.hpp: the C interface, for the other headers here.
//
// In C `shmheap` is the tag of a struct, here it is a namespace, and C++ has one scope for both. So
// the struct has another name in C++ programs, which use it only as a pointer.
//
// SPDX-License-Identifier: Apache-2.0
#ifndef SHMHEAP_CPP_C_HPP
#define SHMHEAP_CPP_C_HPP

#if defined(SHMHEAP_H) && !defined(SHMHEAP_CPP)
#error "include shmheap.hpp before shmheap.h"
#endif
#define SHMHEAP_CPP 1

#define shmheap shmheap_connection_of_c
#include <shmheap.h>
#undef shmheap

#endif
