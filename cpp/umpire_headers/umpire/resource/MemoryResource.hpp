// umpire/resource/MemoryResource.hpp for programs that include it: all of shmheap_umpire.hpp.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "../config.hpp"
