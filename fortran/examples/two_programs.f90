! One program allocates, another reads in place: only an offset travels.
! SPDX-License-Identifier: Apache-2.0
!
! two_programs NAME runs itself as the other program: two_programs NAME OFFSET.
program two_programs
  use, intrinsic :: iso_c_binding, only: c_size_t
  use shmem_heap_module
  implicit none
  character(len=256) :: name, offset
  call get_command_argument(1, name)
  if (command_argument_count() == 1) then
    call model()
  else
    call get_command_argument(2, offset)
    call server()
  end if

contains

  subroutine model()
    type(shmem_heap) :: h
    type(block_meta) :: meta
    real(4), pointer :: temperature(:,:)
    character(len=1024) :: self
    integer :: status
    if (.not. h % create(name, 1000000_c_size_t)) &
        error stop 'no heap made; if the name is in use: shmheap rm NAME'
    meta = h % allocate(temperature, [0, 1], [99, 50])
    if (meta % get_status() /= SHMEM_HEAP_ALLOC_SUCCESS) error stop 'not allocated'
    temperature = 15.0
    temperature(7, 8) = 42.0
    write (offset, '(i0)') meta % get_offset()
    call get_command_argument(0, self)
    call execute_command_line(trim(self) // ' ' // trim(name) // ' ' // trim(offset), &
        exitstat=status)
    if (status /= 0) error stop 'the server failed'
    if (h % free(meta)) error stop 'the server did not free it'
    if (.not. h % destroy()) error stop 'not destroyed'
  end subroutine model

  subroutine server()
    type(shmem_heap) :: h
    real(4), pointer, contiguous :: field(:,:)
    real(8), pointer :: wrong(:,:)
    integer(HEAP_ELEMENT) :: at
    read (offset, *) at
    if (.not. h % connect(name)) error stop 'no heap of that name'
    if (h % get_array(at, wrong)) error stop 'taken for real(8)'
    if (.not. h % get_array(at, field)) error stop 'no array there'
    print '(a, 2(i0, a, i0, a), f4.1)', 'read in place: field(', lbound(field, 1), ':', &
        ubound(field, 1), ', ', &
      lbound(field, 2), ':', ubound(field, 2), '), at (7, 8) ', field(7, 8)
    if (.not. h % free(at)) error stop 'not freed'
  end subroutine server
end program two_programs
