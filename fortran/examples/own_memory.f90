! A heap in memory of one's own. SPDX-License-Identifier: Apache-2.0
program own_memory
  use, intrinsic :: iso_c_binding, only: c_int, c_loc, c_ptr, c_associated
  use shmem_heap_module
  implicit none
  integer, parameter :: words = 100000
  integer(c_int), target :: space(words) ! or memory shared by other means, such as an MPI window
  type(shmem_heap) :: h
  type(c_ptr) :: block
  logical :: success

  success = h % create(c_loc(space), 4 * words) ! bytes, here as a default integer
  if (.not. success) error stop 'no heap'
  call h % dump_info()

  block = h % alloc(1000)                       ! bytes
  if (.not. c_associated(block)) error stop 'nothing fits'
  print '(a, i0, a, i0)', 'a block at offset ', h % get_offset_from_address(block), ', bytes: ', &
      h % get_block_size(block)
  if (.not. h % free(block)) error stop 'not freed'
  if (h % free(block)) error stop 'freed twice'

  if (.not. h % check()) error stop 'unsound'
  if (.not. h % disconnect()) error stop 'not disconnected'
end program own_memory
