! heap_module: shmem_heap_module for programs that call the type heap.
! SPDX-License-Identifier: Apache-2.0
module heap_module
  use, intrinsic :: iso_c_binding, only: c_int, c_intptr_t, c_ptr
  use shmem_heap_module, heap => shmem_heap
  implicit none
  private :: c_int, c_intptr_t, c_ptr
  public

  interface
    ! As fortran/c/ShmemHeap.h says.
    function Pointer_offset(ref, to, szeof) result(offset) bind(c, name='Pointer_offset')
      import :: c_int, c_intptr_t, c_ptr
      type(c_ptr), intent(in), value :: ref, to
      integer(c_int), intent(in), value :: szeof
      integer(c_intptr_t) :: offset
    end function
  end interface
end module heap_module
