! The cost of allocate and free of an array in a shared heap, beside Fortran's own.
! SPDX-License-Identifier: Apache-2.0
program allocate_bench
  use, intrinsic :: iso_c_binding, only: c_size_t
  use, intrinsic :: iso_fortran_env, only: int64
  use shmem_heap_module
  implicit none
  integer, parameter :: rounds = 5
  integer(int64), parameter :: sizes(5) = [1_int64, 100_int64, 10000_int64, 1000000_int64, &
      10000000_int64]
  type(shmem_heap) :: h
  character(len=64) :: name
  integer :: i
  integer(int64) :: clock

  call system_clock(clock)
  write (name, '(a, i0)') '/shmheap-bench-fortran-', clock
  if (.not. h % create(name, 200000000_c_size_t)) &
      error stop 'no heap: is there room for 200 MB in /dev/shm?'
  print '(a)', 'real(8) array: ns for allocate and free, the best of 5 rounds; ' // &
      'and with all elements written once'
  print '(a12, 2(a14, a14))', 'elements', 'shmem_heap', 'allocate', 'heap, written', 'own, written'
  do i = 1, size(sizes)
    print '(i12, 4f14.1)', sizes(i), best(sizes(i), .true., .false.), &
      best(sizes(i), .false., .false.), &
      best(sizes(i), .true., .true.), best(sizes(i), .false., .true.)
  end do
  if (.not. h % destroy()) error stop 'not destroyed'

contains

  function best(n, shared, writes) result(ns)
    integer(int64), intent(in) :: n
    logical, intent(in) :: shared, writes
    real(8) :: ns
    integer :: round
    integer(int64) :: pairs
    pairs = 200000
    if (writes) pairs = max(3_int64, min(pairs, 30000000 / n))
    ns = huge(ns)
    do round = 1, rounds
      if (shared) then
        ns = min(ns, in_heap(n, pairs, writes))
      else
        ns = min(ns, own(n, pairs, writes))
      end if
    end do
  end function best

  function in_heap(n, pairs, writes) result(ns)
    integer(int64), intent(in) :: n, pairs
    logical, intent(in) :: writes
    real(8) :: ns
    real(8), pointer, contiguous :: a(:)
    type(block_meta) :: meta
    integer(int64) :: i, from, to, rate
    call system_clock(from, rate)
    do i = 1, pairs
      meta = h % allocate(a, [n])
      if (.not. associated(a)) error stop 'not allocated'
      a(n) = i
      if (writes) a = i
      if (.not. h % free(meta)) error stop 'not freed'
    end do
    call system_clock(to)
    ns = 1d9 * (to - from) / rate / pairs
  end function in_heap

  function own(n, pairs, writes) result(ns)
    integer(int64), intent(in) :: n, pairs
    logical, intent(in) :: writes
    real(8) :: ns
    real(8), pointer, contiguous :: a(:)
    integer(int64) :: i, from, to, rate
    call system_clock(from, rate)
    do i = 1, pairs
      allocate (a(n))
      a(n) = i
      if (writes) a = i
      call keep(a)
      deallocate (a)
    end do
    call system_clock(to)
    ns = 1d9 * (to - from) / rate / pairs
  end function own

  ! The compiler might leave out an allocation that is not used.
  subroutine keep(a)
    real(8), intent(in) :: a(:)
    real(8), volatile :: seen
    seen = a(size(a))
  end subroutine keep
end program allocate_bench
