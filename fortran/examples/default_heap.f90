! Declaring heaps, and the default heap of the process. SPDX-License-Identifier: Apache-2.0
program default_heap
  use, intrinsic :: iso_c_binding, only: c_size_t
  use shmem_heap_module
  implicit none
  type(shmem_heap) :: fields
  character(len=256) :: name

  call get_command_argument(1, name) ! such as /fields
  if (.not. fields % create(name, 1000000_c_size_t)) &
      error stop 'no heap made; if the name is in use: shmheap rm NAME'
  call set_default_heap(fields)
  call elsewhere()
  if (.not. fields % destroy()) error stop 'not destroyed'

contains

  subroutine elsewhere()
    type(shmem_heap) :: h ! no heap was made: it stands for the default one
    type(shmem_heap) :: same
    type(block_meta) :: meta
    real(8), pointer :: column(:)
    meta = h % allocate(column, [80])
    if (meta % get_status() /= SHMEM_HEAP_ALLOC_SUCCESS) error stop 'not allocated'
    column = 273.15d0
    same = fields       ! a copy is the same heap
    if (.not. same % free(meta)) error stop 'not freed'
    print '(a)', 'allocated by one copy, freed by another'
  end subroutine elsewhere
end program default_heap
