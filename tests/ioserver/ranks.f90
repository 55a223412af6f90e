! Model ranks allocate 4-D arrays and send their offsets; servers read them in place, free them, and
! answer in the node's heap.
! SPDX-License-Identifier: Apache-2.0
!
! ranks SERVERS          all as it should be ranks SERVERS die      the first rank kills itself
! between allocating and sending
program ranks
  use, intrinsic :: iso_c_binding
  use, intrinsic :: iso_fortran_env, only: int64
  use mpi_f08
  use rank_support
  use ioserver_context_module
  use shmem_heap_module
  implicit none
  integer, parameter :: rounds = 50, ni = 12, nj = 9, nk = 4, nt = 3
  type(ioserver_context) :: context
  type(ioserver_input_parameters) :: params
  type(shmem_heap) :: unset
  type(shmem_heap), pointer :: heaps(:)
  character(len=32) :: argument
  integer :: round, me, n

  interface
    function c_raise(signal) bind(c, name='raise') result(status)
      import :: c_int
      integer(c_int), value :: signal
      integer(c_int) :: status
    end function
  end interface

  call MPI_Init()
  call get_command_argument(1, argument)
  read (argument, *) params % num_server_per_node
  params % model_heap_size_mb = 4.0
  params % server_heap_size_mb = 4.0
  call refusals()
  call must(context % init(params), 'init')
  call must(.not. context % init(params), 'second init')
  call context % get_heap_list(heaps)
  me = context % get_node_rank()
  n = size(heaps)
  call must(context % is_model() .neqv. context % is_server(), 'roles')
  call must(context % is_model() .eqv. me < context % get_num_local_model(), 'order of roles')
  call must(n - context % get_num_local_model() == params % num_server_per_node, &
        'number of servers')
  call get_command_argument(2, argument)
  do round = 1, rounds
    if (context % is_model()) then
      call model()
    else
      call server()
    end if
  end do
  call look()
  call context % finalize()
  call context % finalize()
  call must(.not. context % is_initialized(), 'finalize')
  if (me == 0) print '(i0, a, i0, a)', n, ' ranks, ', &
        rounds * (n - params % num_server_per_node), ' arrays read in place'
  call MPI_Finalize()

contains

  ! Parameters that cannot be.
  subroutine refusals()
    type(ioserver_input_parameters) :: bad
    type(shmem_heap) :: h
    bad = params
    bad % num_server_per_node = -1
    call must(.not. context % init(bad), 'init with -1 servers')
    bad = params
    bad % model_heap_size_mb = 0.0
    call must(.not. context % init(bad), 'init with heaps of 0 MB')
    bad = params
    bad % server_heap_size_mb = 9e8
    call must(.not. context % init(bad), 'init with more memory than there is')
    call must(.not. context % is_model() .and. .not. context % is_server(), 'roles without init')
    h = context % get_local_heap()
    call must(.not. c_associated(h % get_ptr()), 'a heap without init')
    call context % finalize()
  end subroutine refusals

  function value(from, i, j, k, t) result(x)
    integer, intent(in) :: from, i, j, k, t
    integer(int64) :: x
    x = from + 100_int64 * (round + 1000_int64 * (i + 100_int64 * &
          (j + 100_int64 * (k + 100_int64 * t))))
  end function value

  ! Bounds that differ from round to round.
  function low() result(bounds)
    integer :: bounds(4)
    bounds = [0, 1 - mod(round, 3), -5, round]
  end function low

  subroutine model()
    type(shmem_heap) :: h, node
    type(block_meta) :: meta
    integer(int64), pointer :: field(:,:,:,:)
    real(8), pointer :: answer(:)
    integer(HEAP_ELEMENT) :: offset
    integer :: i, j, k, t, server_rank, l(4), status
    type(MPI_Comm) :: comm
    l = low()
    h = context % get_local_heap()
    meta = h % allocate(field, l, l + [ni, nj, nk, nt] - 1)
    call must(meta % get_status() == SHMEM_HEAP_ALLOC_SUCCESS, 'allocate')
    do t = 0, nt - 1
      do k = 0, nk - 1
        do j = 0, nj - 1
          do i = 0, ni - 1
            field(l(1) + i, l(2) + j, l(3) + k, l(4) + t) = value(me, i, j, k, t)
          end do
        end do
      end do
    end do
    if (argument == 'die' .and. round == 3 .and. me == 0) status = c_raise(9_c_int)
    comm = context % get_node_comm()
    server_rank = context % get_num_local_model() + mod(me, params % num_server_per_node)
    call MPI_Send(meta % get_offset(), 1, MPI_INTEGER8, server_rank, round, comm)
    call MPI_Recv(offset, 1, MPI_INTEGER8, server_rank, round, comm, MPI_STATUS_IGNORE)
    call must(.not. h % free(meta), 'the server did not free the array')
    node = context % get_node_heap()
    call must(node % get_array(offset, answer), 'the answer')
    call must(nint(answer(1)) == me .and. nint(answer(2)) == round, 'another answer')
    call must(node % free(offset), 'free of the answer')
  end subroutine model

  subroutine server()
    type(shmem_heap) :: node
    type(block_meta) :: meta
    integer(int64), pointer :: field(:,:,:,:)
    integer(4), pointer :: wrong(:,:,:,:)
    real(8), pointer :: answer(:)
    integer(HEAP_ELEMENT) :: offset
    integer :: i, j, k, t, l(4), from
    type(MPI_Comm) :: comm
    comm = context % get_node_comm()
    node = context % get_node_heap()
    l = low()
    do from = me - context % get_num_local_model(), context % get_num_local_model() - 1, &
          params % num_server_per_node
      call MPI_Recv(offset, 1, MPI_INTEGER8, from, round, comm, MPI_STATUS_IGNORE)
      call must(.not. heaps(from + 1) % get_array(offset, wrong), 'an array of another kind')
      call must(heaps(from + 1) % get_array(offset, field), 'the array')
      call must(all(lbound(field) == l) .and. all(shape(field) == [ni, nj, nk, nt]), 'bounds')
      do t = 0, nt - 1
        do k = 0, nk - 1
          do j = 0, nj - 1
            do i = 0, ni - 1
              call must(field(l(1) + i, l(2) + j, l(3) + k, l(4) + t) == value(from, i, j, k, t), &
                    'contents')
            end do
          end do
        end do
      end do
      call must(heaps(from + 1) % free(offset), 'free')
      meta = node % allocate(answer, [2])
      call must(meta % get_status() == SHMEM_HEAP_ALLOC_SUCCESS, 'allocate')
      answer = [from, round]
      call MPI_Send(meta % get_offset(), 1, MPI_INTEGER8, from, round, comm)
    end do
  end subroutine server

  ! All heaps are sound and empty.
  subroutine look()
    type(shmem_heap) :: node
    integer :: i
    call MPI_Barrier(context % get_node_comm())
    do i = 1, n
      call must_be_empty(heaps(i))
    end do
    node = context % get_node_heap()
    call must_be_empty(node)
    call must(.not. unset % check(), 'a heap that was never made')
    call MPI_Barrier(context % get_node_comm())
  end subroutine look
end program ranks
