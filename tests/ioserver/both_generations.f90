! The own tests of both generations of the heap that servers were written for, by the names and
! kinds of each: a heap in System V memory, a producer and a consumer, a full heap, a large array.
! SPDX-License-Identifier: Apache-2.0
program both_generations
  use, intrinsic :: iso_c_binding
  use mpi_f08
  use rank_support
  use shmem_heap_module
  use heap_module, only: heap
  implicit none
  integer(c_int64_t), parameter :: heap_bytes = 256 * 1024_c_int64_t**2
  integer, parameter :: batches = 100, batch = 200
  type(heap) :: h
  type(c_ptr) :: memory
  integer :: me, ranks

  call MPI_Init()
  call MPI_Comm_rank(MPI_COMM_WORLD, me)
  call MPI_Comm_size(MPI_COMM_WORLD, ranks)
  memory = shared_memory(int(heap_bytes, c_size_t))
  ! No barrier: ranks clone what rank 0 makes now.
  if (me == 0) then
    call must(h % create(memory, heap_bytes), 'create')
  else
    call must(h % clone(memory), 'clone')
  end if
  call MPI_Barrier(MPI_COMM_WORLD)
  call must(h % check(), 'check')
  call must(abs(h % get_size() - heap_bytes) <= 200, 'get_size is not what was given')
  call many_at_once()
  call MPI_Barrier(MPI_COMM_WORLD)
  if (me == 0) call producer(h)
  if (me == 1) call consumer(h)
  call MPI_Barrier(MPI_COMM_WORLD)
  call a_full_heap(h)
  call large_arrays()
  call MPI_Barrier(MPI_COMM_WORLD)
  call must(h % check(), 'check in the end')
  if (me == 0) print '(i0, a)', batches * batch, ' arrays freed by another rank'
  call MPI_Finalize()

contains

  ! All ranks allocate and free, by each way to say what is to be freed.
  subroutine many_at_once()
    type(block_meta_f08) :: info
    integer(4), pointer :: a(:)
    integer :: i
    do i = 1, 300
      info = h % allocate(a, [16_c_int64_t], .true.)
      call must(h % free(info % get_ptr()), 'free by address')
      info = h % allocate(a, [16_c_int64_t], .true.)
      call must(h % free(info % get_offset()), 'free by offset')
      info = h % allocate(a, [16], .false.)
      call must(h % free(info), 'free by description')
      call must(.not. h % free(info), 'freed twice')
    end do
  end subroutine many_at_once

  subroutine producer(h)
    type(shmem_heap), intent(inout) :: h
    real(8), contiguous, pointer :: a(:), b(:)
    type(block_meta) :: first, second
    integer(HEAP_ELEMENT) :: offsets(batch)
    integer :: i, j
    first = h % allocate(a, [600_c_int64_t], .false.)
    call must(h % is_valid_block(c_loc(a)), 'no block at the array')
    second = h % allocate(b, [600_c_int64_t], .false.)
    offsets(1) = first % get_offset()
    call MPI_Send(offsets, 1, MPI_INTEGER8, 1, 0, MPI_COMM_WORLD)
    call MPI_Recv(offsets, 1, MPI_INTEGER8, 1, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE)
    call must(.not. h % free(first), 'freed after the consumer')
    first = h % allocate(a, [1200_c_int64_t], .false.)
    call must(associated(a), 'a larger array than the place that is free before one in use')
    call must(h % free(first), 'free')
    call must(h % free(second), 'free')
    do i = 1, batches
      do j = 1, batch
        first = h % allocate(a, [600_c_int64_t - 2 * j], .false.)
        call must(first % get_status() == SHMEM_HEAP_ALLOC_SUCCESS, 'allocate')
        offsets(j) = first % get_offset()
      end do
      call MPI_Send(offsets, batch, MPI_INTEGER8, 1, 0, MPI_COMM_WORLD)
    end do
  end subroutine producer

  subroutine consumer(h)
    type(shmem_heap), intent(inout) :: h
    integer(HEAP_ELEMENT) :: offsets(batch)
    integer :: i, j
    call MPI_Recv(offsets, 1, MPI_INTEGER8, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE)
    call must(h % free(offsets(1)), 'free by the consumer')
    call MPI_Send(offsets, 1, MPI_INTEGER8, 0, 1, MPI_COMM_WORLD)
    do i = 1, batches
      call MPI_Recv(offsets, batch, MPI_INTEGER8, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE)
      do j = 1, batch
        call must(h % free(offsets(j)), 'free by the consumer')
      end do
    end do
  end subroutine consumer

  ! Rank 0 has more than half of the heap, and frees it while rank 1 waits for as much.
  subroutine a_full_heap(h)
    type(shmem_heap), intent(inout) :: h
    integer(8), contiguous, pointer :: a(:)
    type(block_meta) :: info
    integer(8) :: half
    half = h % get_size() / 16 + 10
    if (me == 0) then
      info = h % allocate(a, [half], use_safe_alloc=.true.)
      call must(associated(a), 'more than half of the heap')
    end if
    call MPI_Barrier(MPI_COMM_WORLD)
    if (me == 1) then
      info = h % allocate(a, [half])
      call must(full(info, associated(a)), 'full')
      info = h % allocate(a, [int(half)], use_safe_alloc=.true., timeout_ms=0)
      call must(full(info, associated(a)), 'full, without waiting')
      info = h % allocate(a, [1_c_int64_t], [half], timeout_ms=20)
      call must(full(info, associated(a)), 'full after 20 ms')
    end if
    call MPI_Barrier(MPI_COMM_WORLD)
    if (me == 0) call must(h % free(info), 'free')
    if (me == 1) then
      info = h % allocate(a, [1], [int(half)], timeout_ms=-1)
      call must(info % get_status() == SHMEM_HEAP_ALLOC_SUCCESS, 'what rank 0 freed')
      call must(h % free(info), 'free')
    end if
    call MPI_Barrier(MPI_COMM_WORLD)
  end subroutine a_full_heap

  pure function full(info, is_associated)
    type(block_meta), intent(in) :: info
    logical, intent(in) :: is_associated
    logical :: full
    full = .not. is_associated .and. info % get_status() == SHMEM_HEAP_ALLOC_TIMEOUT
  end function full

  ! Each rank allocates a share twice, and all shares but one fit; then one rank allocates the
  ! whole.
  subroutine large_arrays()
    type(block_meta_f08) :: first, second
    integer(8), pointer :: a(:), b(:)
    integer :: failed, total
    first = h % allocate(a, [heap_bytes / (16 * ranks) + 1], .true.)
    second = h % allocate(b, [heap_bytes / (16 * ranks) + 1], .true.)
    failed = count([.not. associated(a), .not. associated(b)])
    call MPI_Allreduce(failed, total, 1, MPI_INTEGER, MPI_SUM, MPI_COMM_WORLD)
    call must(total == 1, 'all but one fit')
    call must(h % free(first) .eqv. associated(a), 'free')
    call must(h % free(second) .eqv. associated(b), 'free')
    call MPI_Barrier(MPI_COMM_WORLD)
    if (me /= 0) return
    first = h % allocate(a, [h % get_capacity() / 8 - 32])
    call must(associated(a), 'the whole heap')
    call must(h % free(first), 'free of the whole heap')
    first = h % allocate(a, [h % get_size() / 8 + 1], timeout_ms=0)
    call must(.not. associated(a), 'more than the heap')
  end subroutine large_arrays
end program both_generations
