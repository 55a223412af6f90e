! heap_module: shmem_heap_module for programs that call the type heap.
! SPDX-License-Identifier: Apache-2.0
module heap_module
  use shmem_heap_module, heap => shmem_heap
  implicit none
  public
end module heap_module
