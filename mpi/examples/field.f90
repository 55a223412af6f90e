! field.f90: the ranks of a node share one field, found by its name. Each rank sets its columns and
! sums up the whole field.
! SPDX-License-Identifier: Apache-2.0
program field_example
  use, intrinsic :: iso_c_binding
  use mpi_f08
  use shmheap_mpi_module
  implicit none
  integer, parameter :: rows = 1000, columns = 400
  integer(c_size_t), parameter :: bytes = rows * columns * 8_c_size_t
  type(shmheap_memory) :: heap
  type(MPI_Comm) :: node
  type(c_ptr) :: object
  real(c_double), pointer :: field(:,:)
  character(len=64) :: name
  integer :: rank, ranks, column

  call MPI_Init()
  call get_command_argument(1, name)
  if (shmheap_mpi_open(heap, trim(name) // c_null_char, shmheap_options(len=bytes + 65536), &
      MPI_COMM_WORLD % MPI_VAL, &
                       SHMHEAP_MPI_NODE) /= 0) call quit(trim(name))
  node % MPI_VAL = shmheap_mpi_communicator(heap)
  call MPI_Comm_rank(node, rank)
  call MPI_Comm_size(node, ranks)

  object = shmheap_alloc_named(heap, 'pressure' // c_null_char, bytes)
  if (.not. c_associated(object)) call quit('pressure')
  call c_f_pointer(object, field, [rows, columns])
  do column = 1 + rank, columns, ranks
    field(:, column) = column
  end do
  call MPI_Barrier(node)
  if (abs(sum(field) - rows * (columns * (columns + 1) / 2)) > 0.5) call quit('sum')
  print '(a, i0, a, i0, a, f12.1)', 'rank ', rank, ' of ', ranks, ': sum ', sum(field)

  if (c_associated(shmheap_alloc_named(heap, 'more' // c_null_char, bytes))) call quit('oversize')
  if (shmheap_try_free(heap, object) /= 0) call quit('free')
  if (shmheap_mpi_close(heap) /= 0) call quit('close')
  if (shmheap_mpi_leave(heap) == 0) call quit('leave after close')
  call MPI_Finalize()

contains

  subroutine quit(what)
    character(len=*), intent(in) :: what
    call perror(what // c_null_char)
    call MPI_Abort(MPI_COMM_WORLD, 1)
  end subroutine quit
end program field_example
