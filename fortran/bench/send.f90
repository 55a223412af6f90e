! 1 GB from one rank to another of the node: by offset, and by MPI_Send.
! SPDX-License-Identifier: Apache-2.0
!
! mpirun -n 2 send_...: rank 0 sends, rank 1 receives. Rank 0 measures the time until rank 1 reports
! that it has all.
program send
  use, intrinsic :: iso_fortran_env, only: int64
  use mpi_f08
  use ioserver_context_module
  use shmem_heap_module
  implicit none
  integer, parameter :: n = 125000000, rounds = 5 ! real(8): 1 GB
  type(ioserver_context) :: context
  type(ioserver_input_parameters) :: params
  type(MPI_Comm) :: comm
  real(8), pointer :: array(:)
  real(8) :: offset_s, offset_read_s, send_s, send_read_s
  integer :: round, rank

  call MPI_Init()
  call MPI_Comm_rank(MPI_COMM_WORLD, rank)
  params % model_heap_size_mb = merge(1000.0, 1.0, rank == 0)
  params % server_heap_size_mb = 1.0
  if (.not. context % init(params)) call MPI_Abort(MPI_COMM_WORLD, 1)
  comm = context % get_node_comm()
  if (context % get_num_local_model() /= 1) error stop 'run it with 2 ranks on one machine'
  offset_s = huge(offset_s)
  offset_read_s = offset_s
  send_s = offset_s
  send_read_s = offset_s
  do round = 1, rounds
    call by_offset(.false., offset_s)
    call by_offset(.true., offset_read_s)
    call by_message(.false., send_s)
    call by_message(.true., send_read_s)
  end do
  if (rank == 0) then
    print '(a)', '1 GB from rank to rank, the best of 5, ms: handed over; ' // &
        'and summed up by the receiver'
    print '(a12, 2f14.3)', 'by offset', 1d3 * offset_s, 1d3 * offset_read_s, 'by MPI_Send', &
        1d3 * send_s, 1d3 * send_read_s
  end if
  call context % finalize()
  call MPI_Finalize()

contains

  subroutine sum_up()
    if (abs(sum(array) - 0.5d0 * n * (n + 1d0)) > 1d0 * n) error stop 'other contents'
  end subroutine sum_up

  subroutine fill()
    integer :: i
    do i = 1, n
      array(i) = i
    end do
  end subroutine fill

  ! Filling is not measured: the model would do that in any case.
  subroutine by_offset(reads, best)
    logical, intent(in) :: reads
    real(8), intent(inout) :: best
    type(shmem_heap) :: h
    type(shmem_heap), pointer :: heaps(:)
    type(block_meta) :: meta
    integer(HEAP_ELEMENT) :: offset
    real(8) :: start
    if (rank == 0) then
      h = context % get_local_heap()
      meta = h % allocate(array, [n])
      if (.not. associated(array)) error stop 'not allocated'
      call fill()
      start = MPI_Wtime()
      call MPI_Send(meta % get_offset(), 1, MPI_INTEGER8, 1, 0, comm)
      call answered(start, best)
    else
      call context % get_heap_list(heaps)
      call MPI_Recv(offset, 1, MPI_INTEGER8, 0, 0, comm, MPI_STATUS_IGNORE)
      if (.not. heaps(1) % get_array(offset, array)) error stop 'no array'
      if (reads) call sum_up()
      call MPI_Send(0, 1, MPI_INTEGER, 0, 1, comm)
      if (.not. heaps(1) % free(offset)) error stop 'not freed'
    end if
    call MPI_Barrier(comm)
  end subroutine by_offset

  ! Each has an array of its own, all of it written once before.
  subroutine by_message(reads, best)
    logical, intent(in) :: reads
    real(8), intent(inout) :: best
    real(8) :: start
    allocate (array(n))
    array = 0
    if (rank == 0) call fill()
    call MPI_Barrier(comm)
    if (rank == 0) then
      start = MPI_Wtime()
      call MPI_Send(array, n, MPI_DOUBLE_PRECISION, 1, 0, comm)
      call answered(start, best)
    else
      call MPI_Recv(array, n, MPI_DOUBLE_PRECISION, 0, 0, comm, MPI_STATUS_IGNORE)
      if (reads) call sum_up()
      call MPI_Send(0, 1, MPI_INTEGER, 0, 1, comm)
    end if
    deallocate (array)
    call MPI_Barrier(comm)
  end subroutine by_message

  subroutine answered(start, best)
    real(8), intent(in) :: start
    real(8), intent(inout) :: best
    integer :: answer
    call MPI_Recv(answer, 1, MPI_INTEGER, 1, 1, comm, MPI_STATUS_IGNORE)
    best = min(best, MPI_Wtime() - start)
  end subroutine answered
end program send
