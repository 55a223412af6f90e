! Heaps in one piece of System V memory, as the arenas of IO servers: each rank makes its own heap
! after all other ranks cloned it.
! SPDX-License-Identifier: Apache-2.0
program early_clone
  use, intrinsic :: iso_c_binding
  use, intrinsic :: iso_fortran_env, only: int64
  use mpi_f08
  use rank_support
  use shmem_heap_module
  implicit none
  integer(c_size_t), parameter :: heap_bytes = 300000
  integer, parameter :: rounds = 100, n = 500
  type(shmem_heap), allocatable, target :: heaps(:)
  type(c_ptr) :: arena
  integer :: me, ranks, i

  call MPI_Init()
  call MPI_Comm_rank(MPI_COMM_WORLD, me)
  call MPI_Comm_size(MPI_COMM_WORLD, ranks)
  arena = shared_memory(heap_bytes * ranks)
  allocate (heaps(0:ranks - 1))
  do i = 0, ranks - 1
    if (i == me) cycle
    call must(heaps(i) % clone(place_of(i)), 'clone of a heap to come')
    call nothing_yet(heaps(i))
  end do
  call MPI_Barrier(MPI_COMM_WORLD)
  ! Less than what lies between two heaps: a clone's memory goes on behind its heap.
  call must(heaps(me) % create(place_of(me), int(heap_bytes * 0.85d0, kind=c_size_t)), 'create')
  call MPI_Barrier(MPI_COMM_WORLD)
  do i = 1, rounds
    call send_around(i)
  end do
  call MPI_Barrier(MPI_COMM_WORLD)
  do i = 0, ranks - 1
    call must_be_empty(heaps(i))
  end do
  if (me == 0) print '(i0, a)', rounds * ranks, ' arrays freed by others'
  call MPI_Finalize()

contains

  ! Not a multiple of 16.
  function place_of(rank) result(address)
    integer, intent(in) :: rank
    type(c_ptr) :: address
    address = transfer(transfer(arena, 0_c_intptr_t) + rank * heap_bytes + 8, address)
  end function place_of

  subroutine nothing_yet(h)
    type(shmem_heap), intent(inout) :: h
    real(8), contiguous, pointer :: a(:)
    type(block_meta) :: meta
    meta = h % allocate(a, [n], timeout_ms=0)
    call must(.not. associated(a) .and. meta % get_status() == SHMEM_HEAP_ALLOC_INVALID, &
          'an array of no heap')
    call must(.not. h % check(), 'check of no heap')
    call must(h % get_size() == -1, 'size of no heap')
    call must(.not. h % free(64_HEAP_ELEMENT), 'free in no heap')
  end subroutine nothing_yet

  ! Each allocates in its own heap, and frees what the rank before it has allocated.
  subroutine send_around(round)
    integer, intent(in) :: round
    real(8), contiguous, pointer :: a(:)
    type(block_meta) :: meta
    integer(HEAP_ELEMENT) :: sent, got
    integer :: before
    before = modulo(me - 1, ranks)
    meta = heaps(me) % allocate(a, [int(n, int64)])
    call must(meta % get_status() == SHMEM_HEAP_ALLOC_SUCCESS, 'allocate')
    a = 1000 * round + me
    sent = meta % get_offset()
    call MPI_Sendrecv(sent, 1, MPI_INTEGER8, modulo(me + 1, ranks), 0, got, 1, MPI_INTEGER8, &
          before, 0, MPI_COMM_WORLD, &
                      MPI_STATUS_IGNORE)
    call take(heaps(before), got, real(1000 * round + before, 8))
  end subroutine send_around

  subroutine take(h, offset, expected)
    type(shmem_heap), intent(inout) :: h
    integer(HEAP_ELEMENT), intent(in) :: offset
    real(8), intent(in) :: expected
    type(c_ptr) :: address
    real(8), contiguous, pointer :: a(:)
    address = h % get_address_from_offset(offset)
    call must(c_associated(address), 'the array of another rank')
    call c_f_pointer(address, a, [int(n, int64)])
    call must(all(abs(a - expected) < 0.5d0), 'its values')
    call must(h % free(address), 'free by address')
  end subroutine take

end program early_clone
