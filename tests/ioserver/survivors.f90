! A rank is killed while it allocates and frees in another's heap; the surviving ranks, started so
! that they may go on, do.
! SPDX-License-Identifier: Apache-2.0
!
! survivors FOLDER: each survivor makes a file in it; what they print, the MPI may lose.
program survivors
  use, intrinsic :: iso_c_binding
  use mpi_f08
  use rank_support
  use ioserver_context_module
  use shmem_heap_module
  implicit none
  integer, parameter :: victim = 0 ! in node_comm
  type(ioserver_context) :: context
  type(ioserver_input_parameters) :: params
  type(shmem_heap) :: node
  type(shmem_heap), pointer :: heaps(:)
  integer(4), pointer :: progress(:), kept(:,:)
  integer(HEAP_ELEMENT) :: progress_offset, kept_offset
  type(block_meta) :: meta
  type(MPI_Comm) :: comm
  integer(c_int) :: pid
  integer :: me, n, i

  interface
    function c_getpid() bind(c, name='getpid') result(pid)
      import :: c_int
      integer(c_int) :: pid
    end function

    function c_kill(pid, signal) bind(c, name='kill') result(status)
      import :: c_int
      integer(c_int), value :: pid, signal
      integer(c_int) :: status
    end function

    ! Ends at once: MPI_Finalize would wait for the dead rank.
    subroutine c_exit(status) bind(c, name='_exit')
      import :: c_int
      integer(c_int), value :: status
    end subroutine
  end interface

  call MPI_Init()
  params % model_heap_size_mb = 2.0
  params % server_heap_size_mb = 2.0
  call must(context % init(params), 'init')
  call context % get_heap_list(heaps)
  node = context % get_node_heap()
  comm = context % get_node_comm()
  me = context % get_node_rank()
  n = size(heaps)

  if (me == victim) then
    meta = node % allocate(progress, [2 + n])
    progress = 0
    progress_offset = meta % get_offset()
    meta = heaps(victim + 1) % allocate(kept, [10, 20])
    kept = 7
    kept_offset = meta % get_offset()
    pid = c_getpid()
  end if
  call MPI_Bcast(progress_offset, 1, MPI_INTEGER8, victim, comm)
  call MPI_Bcast(kept_offset, 1, MPI_INTEGER8, victim, comm)
  call MPI_Bcast(pid, 1, MPI_INTEGER, victim, comm)
  if (me == victim) call work_for_ever()
  call must(node % get_array(progress_offset, progress), 'progress')
  if (me == n - 1) then
    call wait_for(1, 1000)
    call must(c_kill(pid, 9_c_int) == 0, 'kill')
    progress(2) = 1
  end if
  call wait_for(2, 1)
  call go_on()
  call report()
  ! Some starters end all ranks as soon as one has ended without MPI_Finalize.
  progress(3 + me) = 1
  do i = 1, n - 1
    call wait_for(3 + i, 1)
  end do
  call context % finalize()
  call c_exit(0_c_int)

contains

  subroutine report()
    character(len=256) :: folder
    character(len=16) :: number
    integer :: unit
    call get_command_argument(1, folder)
    write (number, '(i0)') me
    open (newunit=unit, file=trim(folder) // '/' // trim(number), action='write', status='new')
    write (unit, '(a)') 'survived'
    close (unit)
  end subroutine report

  subroutine work_for_ever()
    integer(8), pointer :: a(:)
    type(block_meta) :: mine, theirs
    integer :: turn
    turn = 0
    do
      turn = turn + 1
      mine = heaps(victim + 1) % allocate(a, [mod(turn, 100) + 1])
      theirs = heaps(n) % allocate(a, [mod(turn, 77) + 1])
      call must(heaps(n) % free(theirs), 'free')
      call must(heaps(victim + 1) % free(mine), 'free')
      progress(1) = turn
    end do
  end subroutine work_for_ever

  ! progress(1): the victim counts its turns. progress(2): 1 when it has been killed.
  subroutine wait_for(which, at_least)
    integer, intent(in) :: which, at_least
    integer(4), pointer, volatile :: seen(:)
    seen => progress
    do
      if (seen(which) >= at_least) exit
    end do
  end subroutine wait_for

  ! All heaps are whole, also those that the dead rank was changing; its objects are there.
  subroutine go_on()
    integer(8), pointer :: a(:)
    integer(4), pointer :: of_the_dead(:,:)
    type(block_meta) :: mine
    integer :: turn
    do i = 1, n
      call must(heaps(i) % check(), 'unsound')
      do turn = 1, 100
        mine = heaps(i) % allocate(a, [turn])
        call must(mine % get_status() == SHMEM_HEAP_ALLOC_SUCCESS, 'allocate')
        a = me
        call must(all(a == me), 'not alone')
        call must(heaps(i) % free(mine), 'free')
      end do
    end do
    call must(heaps(victim + 1) % get_array(kept_offset, of_the_dead), 'array of the dead')
    call must(all(of_the_dead == 7), 'contents of the dead')
  end subroutine go_on
end program survivors
