! Forty ranks, more than there are processors: models put the offsets of several grids into windows
! of several servers, some of them wrong; the servers refuse the wrong ones, read and free the rest.
! SPDX-License-Identifier: Apache-2.0
!
! many_ranks SERVERS
program many_ranks
  use, intrinsic :: iso_c_binding
  use, intrinsic :: iso_fortran_env, only: int64
  use mpi_f08
  use rank_support
  use ioserver_context_module
  use shmem_heap_module
  implicit none
  integer, parameter :: rounds = 8, grids = 3, ni = 11, nj = 7, nk = 3
  type(ioserver_context) :: context
  type(ioserver_input_parameters) :: params
  type(shmem_heap), pointer :: heaps(:)
  integer(int64), pointer :: slots(:,:) ! of the models, for each grid: the offsets that were put
  type(MPI_Win) :: window
  type(MPI_Comm) :: comm
  character(len=32) :: argument
  integer :: round, me, n, models, wrong, refused

  call MPI_Init()
  call get_command_argument(1, argument)
  read (argument, *) params % num_server_per_node
  params % model_heap_size_mb = 0.25
  params % server_heap_size_mb = 1.0
  call must(context % init(params), 'init')
  call context % get_heap_list(heaps)
  comm = context % get_node_comm()
  me = context % get_node_rank()
  models = context % get_num_local_model()
  n = size(heaps)
  call must(n == models + params % num_server_per_node, 'ranks')
  wrong = 0
  refused = 0
  call window_open()
  do round = 1, rounds
    if (context % is_model()) then
      call model()
    else
      call server()
    end if
  end do
  call must(sum_of(wrong) == sum_of(refused), 'a wrong offset was taken, or a right one refused')
  call must(sum_of(wrong) > 0, 'no wrong offset was put')
  call MPI_Win_free(window)
  call look()
  if (me == 0) print '(4(i0, a))', n, ' ranks, ', grids, ' grids, ', rounds * grids * models, &
    ' offsets put, ', wrong, ' of them wrong by rank 0'
  call context % finalize()
  call MPI_Finalize()

contains

  function sum_of(mine) result(total)
    integer, intent(in) :: mine
    integer :: total
    call MPI_Allreduce(mine, total, 1, MPI_INTEGER, MPI_SUM, comm)
  end function sum_of

  subroutine window_open()
    type(c_ptr) :: memory
    call MPI_Win_allocate(int(8 * grids * models, MPI_ADDRESS_KIND), 8, MPI_INFO_NULL, comm, &
                          memory, window)
    call c_f_pointer(memory, slots, [grids, models])
    slots = 0
    call MPI_Win_fence(0, window)
  end subroutine window_open

  ! Which server takes this grid of this model in this round.
  pure function server_of(from, grid) result(rank)
    integer, intent(in) :: from, grid
    integer :: rank
    rank = models + mod(from + grid + round, params % num_server_per_node)
  end function server_of

  ! Whether this model puts a wrong offset for this grid in this round.
  pure function goes_wrong(from, grid) result(wrong)
    integer, intent(in) :: from, grid
    logical :: wrong
    wrong = mod(from + 3 * grid + round, 5) == 0
  end function goes_wrong

  pure function value_of(from, grid) result(value)
    integer, intent(in) :: from, grid
    integer :: value
    value = mod(7 * from + 3 * grid + round, 120)
  end function value_of

  subroutine model()
    type(shmem_heap) :: h
    type(block_meta) :: meta(grids), gone
    integer(4), contiguous, pointer :: surface(:,:)
    real(8), contiguous, pointer :: volume(:,:,:)
    integer(1), contiguous, pointer :: bytes(:,:,:,:,:)
    integer(int64) :: offsets(grids)
    integer :: grid
    h = context % get_local_heap()
    gone = h % allocate(surface, [ni, nj])
    meta(1) = h % allocate(surface, [me, -3], [me + ni - 1, nj - 4])
    meta(2) = h % allocate(volume, [ni, nj, nk], use_safe_alloc=.true.)
    meta(3) = h % allocate(bytes, [8 * ni, nj, nk, 1, 2], timeout_ms=0)
    call must(all([associated(surface), associated(volume), associated(bytes)]), 'allocate')
    surface = value_of(me, 1)
    volume = value_of(me, 2)
    bytes = int(value_of(me, 3), 1)
    call must(h % free(gone), 'free')
    call fill_up(h)
    do grid = 1, grids
      offsets(grid) = meta(grid) % get_offset()
      if (goes_wrong(me, grid)) offsets(grid) = wrong_offset(offsets(grid), gone % get_offset())
      call MPI_Put(offsets(grid), 1, MPI_INTEGER8, server_of(me, grid), &
                   int(grid - 1 + grids * me, MPI_ADDRESS_KIND), 1, MPI_INTEGER8, window)
    end do
    call MPI_Win_fence(0, window) ! the servers have the offsets
    call MPI_Win_fence(0, window) ! the servers are done with them
    do grid = 1, grids
      call must(h % free(meta(grid)) .eqv. goes_wrong(me, grid), 'freed by the server, or not')
      if (goes_wrong(me, grid)) wrong = wrong + 1
    end do
  end subroutine model

  ! Where no array of this model begins: in the middle of one, before the heap, beyond it, or where
  ! one was.
  function wrong_offset(offset, freed) result(bad)
    integer(int64), intent(in) :: offset, freed
    integer(int64) :: bad
    select case (mod(me + round, 4))
    case (0)
      bad = offset + 16
    case (1)
      bad = -offset
    case (2)
      bad = huge(bad) - 15
    case default
      bad = freed
    end select
  end function wrong_offset

  ! Takes all of the heap: then there is a null pointer at once. Gives it back.
  subroutine fill_up(h)
    type(shmem_heap), intent(inout) :: h
    integer(c_int64_t), contiguous, pointer :: a(:)
    type(block_meta) :: taken(100)
    integer :: i, last
    last = 0
    do i = 1, size(taken)
      taken(i) = h % allocate(a, [2000])
      if (.not. associated(a)) exit
      last = i
    end do
    call must(last < size(taken), 'a heap that is never full')
    call must(taken(last + 1) % get_status() == SHMEM_HEAP_ALLOC_TIMEOUT, 'status of a full heap')
    do i = 1, last
      call must(h % free(taken(i)), 'free')
    end do
  end subroutine fill_up

  subroutine server()
    integer :: from, grid
    logical :: taken
    call MPI_Win_fence(0, window)
    do from = 0, models - 1
      do grid = 1, grids
        if (server_of(from, grid) /= me) cycle
        taken = take(heaps(from + 1), slots(grid, from + 1), grid, value_of(from, grid))
        call must(taken .neqv. goes_wrong(from, grid), 'an offset')
        if (.not. taken) refused = refused + 1
      end do
    end do
    call MPI_Win_fence(0, window)
  end subroutine server

  ! Reads the grid at this offset and frees it. .false.: there is none.
  function take(h, offset, grid, value) result(taken)
    type(shmem_heap), intent(inout) :: h
    integer(int64), intent(in) :: offset
    integer, intent(in) :: grid, value
    logical :: taken
    integer(4), contiguous, pointer :: surface(:,:)
    real(8), contiguous, pointer :: volume(:,:,:)
    integer(1), contiguous, pointer :: bytes(:,:,:,:,:)
    select case (grid)
    case (1)
      taken = h % get_array(offset, surface)
      if (taken) call must(all(shape(surface) == [ni, nj]) .and. all(surface == value), 'surface')
    case (2)
      taken = h % get_array(offset, volume)
      if (taken) call must(all(shape(volume) == [ni, nj, nk]) .and. all(nint(volume) == value), &
                           'volume')
    case default
      taken = h % get_array(offset, bytes)
      if (taken) call must(all(shape(bytes) == [8 * ni, nj, nk, 1, 2]) .and. all(bytes == value), &
                           'bytes')
    end select
    if (taken) then
      call must(h % free(offset), 'free by the server')
    else
      call must(.not. h % free(offset), 'free of what is no array')
    end if
  end function take

  ! All heaps are sound and empty. One rank looks: it takes a walk for each heap.
  subroutine look()
    integer :: i
    call MPI_Barrier(comm)
    if (me == 0) then
      do i = 1, n
        call must_be_empty(heaps(i))
      end do
    end if
    call MPI_Barrier(comm)
  end subroutine look
end program many_ranks
