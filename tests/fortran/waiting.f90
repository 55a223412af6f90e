! Two processes and one heap that has room for one large array: each waits until the other has
! freed.
! SPDX-License-Identifier: Apache-2.0
!
! waiting NAME starts waiting NAME other in the background.
program waiting
  use, intrinsic :: iso_c_binding, only: c_size_t, c_int
  use shmem_heap_module
  implicit none
  integer, parameter :: turns = 200, elements = 100000
  type(shmem_heap) :: h
  character(len=256) :: name
  call get_command_argument(1, name)
  if (command_argument_count() == 1) then
    call first()
  else
    if (.not. h % connect(name)) error stop 'no heap'
    call take_turns(2)
  end if

contains

  subroutine first()
    character(len=1024) :: self
    integer(4), pointer :: done(:), held(:)
    type(block_meta) :: done_meta, held_meta, last
    integer :: status
    integer(c_int) :: used
    if (.not. h % create(name, 4 * elements + 100000)) error stop 'no heap'
    done_meta = h % allocate(done, [2])
    done = 0
    held_meta = h % allocate(held, [elements])
    held = 0
    if (held_meta % get_status() /= SHMEM_HEAP_ALLOC_SUCCESS) error stop 'not allocated'
    call get_command_argument(0, self)
    call execute_command_line(trim(self) // ' ' // trim(name) // ' other', wait=.false., &
          exitstat=status)
    if (.not. h % free(held_meta)) error stop 'not freed'
    call take_turns(1)
    ! The other one is done when it has said so, in an array that comes after all of its large ones.
    do
      last = h % allocate(held, [elements], timeout_ms=-1)
      if (done(2) == turns) exit
      if (.not. h % free(last)) error stop 'not freed'
    end do
    if (done(1) /= turns) error stop 'turns missing'
    if (.not. h % free(last)) error stop 'not freed'
    if (.not. h % free(done_meta)) error stop 'not freed'
    if (.not. h % check(used_blocks=used)) error stop 'unsound'
    if (used /= 0) error stop 'blocks left over'
    if (.not. h % destroy()) error stop 'not destroyed'
    print '(i0, a)', 2 * turns, ' turns'
  end subroutine first

  subroutine take_turns(who)
    integer, intent(in) :: who
    integer(4), pointer :: large(:), done(:)
    type(block_meta) :: meta
    integer :: turn
    if (.not. h % get_array(16, done)) error stop 'no list of turns'
    do turn = 1, turns
      meta = h % allocate(large, [elements], timeout_ms=-1)
      if (meta % get_status() /= SHMEM_HEAP_ALLOC_SUCCESS) error stop 'not allocated'
      large = 1000 * turn + who
      if (any(large /= 1000 * turn + who)) error stop 'not alone'
      done(who) = turn
      if (.not. h % free(meta)) error stop 'not freed'
    end do
  end subroutine take_turns
end program waiting
