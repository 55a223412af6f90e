! The C calls below shmem_heap_module: fortran/c/ShmemHeap.h says what they promise.
! SPDX-License-Identifier: Apache-2.0
module shmem_heap_c
  use, intrinsic :: iso_c_binding
  implicit none
  private

  integer, parameter, public :: MAX_RANK = 7

  ! ShmemHeap_array: the description of an array, kept in its block and copied between processes.
  type, bind(c), public :: array_record
    integer(c_int64_t) :: extents(MAX_RANK) = 0, lower(MAX_RANK) = 0
    integer(c_int64_t) :: offset = 0, handle = 0, element = 0
    integer(c_int32_t) :: type = 0, kind = 0, rank = 0, status = -1
  end type array_record

  public :: ShmemHeap_init_from_scratch, ShmemHeap_clone, ShmemHeap_clone_sized, &
      ShmemHeap_create, ShmemHeap_connect, &
            ShmemHeap_delete, ShmemHeap_destroy, ShmemHeap_alloc_block, ShmemHeap_alloc_named, &
            ShmemHeap_find, &
            ShmemHeap_keep, ShmemHeap_remove_name, &
            ShmemHeap_free_block, ShmemHeap_is_block_valid, &
            ShmemHeap_ptr_from_offset, ShmemHeap_offset_from_pointer, &
            ShmemHeap_block_size_from_pointer, &
            ShmemHeap_check, ShmemHeap_get_info, ShmemHeap_get_size, ShmemHeap_get_capacity, &
            ShmemHeap_alloc_timeout, ShmemHeap_set_alloc_timeout, &
            ShmemHeap_array_alloc, ShmemHeap_array_find, ShmemHeap_array_at, &
            ShmemHeap_array_resolve, ShmemHeap_array_free, shmheap_error_text

  interface
    ! As c/include/shmheap.h says: a text with a NUL, until the thread's next failing call.
    function shmheap_error_text() result(text) bind(c, name='shmheap_error_text')
      import :: c_ptr
      type(c_ptr) :: text
    end function

    function ShmemHeap_init_from_scratch(memory, num_bytes) result(heap) bind(c, &
        name='ShmemHeap_init_from_scratch')
      import :: c_ptr, c_size_t
      type(c_ptr), value :: memory
      integer(c_size_t), value :: num_bytes
      type(c_ptr) :: heap
    end function

    function ShmemHeap_clone(memory) result(heap) bind(c, name='ShmemHeap_clone')
      import :: c_ptr
      type(c_ptr), value :: memory
      type(c_ptr) :: heap
    end function

    function ShmemHeap_clone_sized(memory, num_bytes) result(heap) bind(c, &
        name='ShmemHeap_clone_sized')
      import :: c_ptr, c_size_t
      type(c_ptr), value :: memory
      integer(c_size_t), value :: num_bytes
      type(c_ptr) :: heap
    end function

    function ShmemHeap_create(name, num_bytes) result(heap) bind(c, name='ShmemHeap_create')
      import :: c_ptr, c_size_t, c_char
      character(kind=c_char), intent(in) :: name(*)
      integer(c_size_t), value :: num_bytes
      type(c_ptr) :: heap
    end function

    function ShmemHeap_connect(name) result(heap) bind(c, name='ShmemHeap_connect')
      import :: c_ptr, c_char
      character(kind=c_char), intent(in) :: name(*)
      type(c_ptr) :: heap
    end function

    function ShmemHeap_delete(heap) result(status) bind(c, name='ShmemHeap_delete')
      import :: c_ptr, c_int
      type(c_ptr), value :: heap
      integer(c_int) :: status
    end function

    function ShmemHeap_destroy(heap) result(status) bind(c, name='ShmemHeap_destroy')
      import :: c_ptr, c_int
      type(c_ptr), value :: heap
      integer(c_int) :: status
    end function

    function ShmemHeap_alloc_block(heap, num_bytes, safe) result(block) bind(c, &
        name='ShmemHeap_alloc_block')
      import :: c_ptr, c_size_t, c_int32_t
      type(c_ptr), value :: heap
      integer(c_size_t), value :: num_bytes
      integer(c_int32_t), value :: safe
      type(c_ptr) :: block
    end function

    function ShmemHeap_alloc_named(heap, name, num_bytes) result(block) bind(c, &
        name='ShmemHeap_alloc_named')
      import :: c_ptr, c_size_t, c_char
      type(c_ptr), value :: heap
      character(kind=c_char), intent(in) :: name(*)
      integer(c_size_t), value :: num_bytes
      type(c_ptr) :: block
    end function

    function ShmemHeap_find(heap, name, num_bytes) result(block) bind(c, name='ShmemHeap_find')
      import :: c_ptr, c_size_t, c_char
      type(c_ptr), value :: heap
      character(kind=c_char), intent(in) :: name(*)
      integer(c_size_t), intent(out) :: num_bytes
      type(c_ptr) :: block
    end function

    function ShmemHeap_keep(heap, name) result(status) bind(c, name='ShmemHeap_keep')
      import :: c_ptr, c_int32_t, c_char
      type(c_ptr), value :: heap
      character(kind=c_char), intent(in) :: name(*)
      integer(c_int32_t) :: status
    end function

    function ShmemHeap_remove_name(heap, name) result(status) bind(c, name='ShmemHeap_remove_name')
      import :: c_ptr, c_int32_t, c_char
      type(c_ptr), value :: heap
      character(kind=c_char), intent(in) :: name(*)
      integer(c_int32_t) :: status
    end function

    function ShmemHeap_free_block(heap, block) result(status) bind(c, name='ShmemHeap_free_block')
      import :: c_ptr, c_int32_t
      type(c_ptr), value :: heap, block
      integer(c_int32_t) :: status
    end function

    function ShmemHeap_is_block_valid(heap, block) result(status) bind(c, &
        name='ShmemHeap_is_block_valid')
      import :: c_ptr, c_int32_t
      type(c_ptr), value :: heap, block
      integer(c_int32_t) :: status
    end function

    function ShmemHeap_ptr_from_offset(heap, offset) result(block) bind(c, &
        name='ShmemHeap_ptr_from_offset')
      import :: c_ptr, c_int64_t
      type(c_ptr), value :: heap
      integer(c_int64_t), value :: offset
      type(c_ptr) :: block
    end function

    function ShmemHeap_offset_from_pointer(heap, block) result(offset) bind(c, &
        name='ShmemHeap_offset_from_pointer')
      import :: c_ptr, c_int64_t
      type(c_ptr), value :: heap, block
      integer(c_int64_t) :: offset
    end function

    function ShmemHeap_block_size_from_pointer(heap, block) result(num_bytes) &
        bind(c, name='ShmemHeap_block_size_from_pointer')
      import :: c_ptr, c_size_t
      type(c_ptr), value :: heap, block
      integer(c_size_t) :: num_bytes
    end function

    function ShmemHeap_check(heap, free_blocks, free_space, used_blocks, used_space) &
        result(status) &
        bind(c, name='ShmemHeap_check')
      import :: c_ptr, c_size_t, c_int32_t
      type(c_ptr), value :: heap
      integer(c_int32_t), intent(inout) :: free_blocks, used_blocks
      integer(c_size_t), intent(inout) :: free_space, used_space
      integer(c_int32_t) :: status
    end function

    function ShmemHeap_get_info(heap, size, max, nblk, nbyt) result(status) bind(c, &
        name='ShmemHeap_get_info')
      import :: c_ptr, c_int64_t, c_int
      type(c_ptr), value :: heap
      integer(c_int64_t), intent(inout) :: size, max, nblk, nbyt
      integer(c_int) :: status
    end function

    function ShmemHeap_get_size(heap) result(size) bind(c, name='ShmemHeap_get_size')
      import :: c_ptr, c_int64_t
      type(c_ptr), value :: heap
      integer(c_int64_t) :: size
    end function

    function ShmemHeap_get_capacity(heap) result(capacity) bind(c, name='ShmemHeap_get_capacity')
      import :: c_ptr, c_int64_t
      type(c_ptr), value :: heap
      integer(c_int64_t) :: capacity
    end function

    function ShmemHeap_alloc_timeout() result(timeout_ms) bind(c, name='ShmemHeap_alloc_timeout')
      import :: c_int32_t
      integer(c_int32_t) :: timeout_ms
    end function

    subroutine ShmemHeap_set_alloc_timeout(timeout_ms) bind(c, name='ShmemHeap_set_alloc_timeout')
      import :: c_int32_t
      integer(c_int32_t), value :: timeout_ms
    end subroutine

    function ShmemHeap_array_alloc(heap, array, lower_count, lower, upper_count, upper, safe, &
        timeout_ms) &
        result(address) bind(c, name='ShmemHeap_array_alloc')
      import :: c_ptr, c_int64_t, c_int32_t, array_record
      type(c_ptr), value :: heap
      type(array_record), intent(inout) :: array
      integer(c_int32_t), value :: lower_count, upper_count, safe, timeout_ms
      integer(c_int64_t), intent(in), optional :: lower(*) ! absent: NULL
      integer(c_int64_t), intent(in) :: upper(*)
      type(c_ptr) :: address
    end function

    function ShmemHeap_array_find(heap, offset, array) result(address) bind(c, &
        name='ShmemHeap_array_find')
      import :: c_ptr, c_int64_t, array_record
      type(c_ptr), value :: heap
      integer(c_int64_t), value :: offset
      type(array_record), intent(inout) :: array
      type(c_ptr) :: address
    end function

    function ShmemHeap_array_at(address, array) result(heap) bind(c, name='ShmemHeap_array_at')
      import :: c_ptr, array_record
      type(c_ptr), value :: address
      type(array_record), intent(inout) :: array
      type(c_ptr) :: heap
    end function

    function ShmemHeap_array_resolve(heap, array) result(address) bind(c, &
        name='ShmemHeap_array_resolve')
      import :: c_ptr, array_record
      type(c_ptr), value :: heap
      type(array_record), intent(in) :: array
      type(c_ptr) :: address
    end function

    function ShmemHeap_array_free(heap, array) result(status) bind(c, name='ShmemHeap_array_free')
      import :: c_ptr, c_int32_t, array_record
      type(c_ptr), value :: heap
      type(array_record), intent(in) :: array
      integer(c_int32_t) :: status
    end function
  end interface
end module shmem_heap_c
