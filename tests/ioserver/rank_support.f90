! What the programs of this folder share: a check, memory that all ranks of a node share, and an
! empty heap.
! SPDX-License-Identifier: Apache-2.0
module rank_support
  use, intrinsic :: iso_c_binding
  use, intrinsic :: iso_fortran_env, only: output_unit
  use mpi_f08
  use shmem_heap_module
  implicit none
  private
  public :: must, shared_memory, must_be_empty

  interface
    function shmget(key, size, flags) bind(c) result(id)
      import :: c_int, c_size_t
      integer(c_int), value :: key, flags
      integer(c_size_t), value :: size
      integer(c_int) :: id
    end function
    function shmat(id, address, flags) bind(c) result(memory)
      import :: c_int, c_ptr
      integer(c_int), value :: id, flags
      type(c_ptr), value :: address
      type(c_ptr) :: memory
    end function
    function shmctl(id, command, buffer) bind(c) result(status)
      import :: c_int, c_ptr
      integer(c_int), value :: id, command
      type(c_ptr), value :: buffer
      integer(c_int) :: status
    end function
  end interface

contains

  ! Ends all ranks where the condition does not hold.
  subroutine must(condition, what)
    logical, intent(in) :: condition
    character(len=*), intent(in) :: what
    integer :: rank
    if (condition) return
    call MPI_Comm_rank(MPI_COMM_WORLD, rank)
    print '(a, i0, 2a)', 'rank ', rank, ' failed: ', what
    flush (output_unit)
    call MPI_Abort(MPI_COMM_WORLD, 1)
  end subroutine must

  ! System V memory that rank 0 makes and all ranks attach. The kernel removes it when the last
  ! process detaches.
  function shared_memory(bytes) result(memory)
    integer(c_size_t), intent(in) :: bytes
    type(c_ptr) :: memory
    integer, parameter :: new = 0, make = 512 + 384, remove = 0
    integer(c_int) :: id, status
    integer :: rank
    call MPI_Comm_rank(MPI_COMM_WORLD, rank)
    memory = c_null_ptr
    if (rank == 0) id = shmget(new, bytes, make)
    call MPI_Bcast(id, 1, MPI_INTEGER, 0, MPI_COMM_WORLD)
    if (id >= 0) memory = shmat(id, c_null_ptr, 0)
    call MPI_Barrier(MPI_COMM_WORLD)
    status = 0
    if (rank == 0) status = shmctl(id, remove, c_null_ptr)
    call must(id >= 0 .and. status == 0 .and. transfer(memory, 0_c_intptr_t) /= -1, 'shared memory')
  end function shared_memory

  ! The heap is sound and has no block in use.
  subroutine must_be_empty(h)
    type(shmem_heap), intent(inout) :: h
    integer(c_int) :: used
    call must(h % check(used_blocks=used), 'unsound')
    call must(used == 0, 'blocks left over')
  end subroutine must_be_empty
end module rank_support
