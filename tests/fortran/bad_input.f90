! Bad input gives a status, .false. or a null pointer, and changes nothing. SPDX-License-Identifier:
! Apache-2.0
program bad_input
  use, intrinsic :: iso_c_binding
  use, intrinsic :: iso_fortran_env, only: int64
  use shmem_heap_module
  implicit none
  integer(c_int), target :: memory(50000), small(24), garbage(1000)
  type(shmem_heap) :: h
  character(len=256) :: name
  call get_command_argument(1, name)
  call texts()
  call heaps()
  call must(h % create(c_loc(memory), size(memory) * 4), 'create')
  call bounds()
  call sizes()
  call blocks()
  call fallen_heap()
  print '(a)', 'all refused'

contains

  subroutine must(condition, what)
    logical, intent(in) :: condition
    character(len=*), intent(in) :: what
    if (condition) return
    print '(a)', what
    error stop 1
  end subroutine must

  subroutine says(words)
    character(len=*), intent(in) :: words
    character(len=:), allocatable :: text
    text = h % get_error()
    call must(index(text, words) == 1, 'expected "' // words // '": ' // text)
  end subroutine says

  ! Each failed call has a text, which a success leaves.
  subroutine texts()
    type(shmem_heap) :: first, second
    integer(c_int), target :: own(1000)
    own = 7
    call must(len(first % get_error()) == 0, 'a text before any failure')
    call must(.not. first % connect(name), 'a heap of that name')
    call says('shmheap_connect("' // trim(name) // '"): no heap has that name (ENOENT); start')
    call must(first % create(name, 100000), 'create')
    call says('shmheap_connect(')
    call must(.not. second % create(name, 100000), 'a second heap of that name')
    call says('shmheap_create("' // trim(name) // '"): something has that name already (EEXIST)')
    call must(.not. c_associated(first % alloc(200000)), 'a block larger than the heap')
    call says('shmheap_alloc_wait("' // trim(name) // '"): ')
    call must(index(first % get_error(), 'bytes never fit') > 0, 'why: ' // first % get_error())
    call must(.not. first % keep('none'), 'a name that is not there')
    call says('shmheap_name_keep("' // trim(name) // '", "none"): no object has that name')
    call must(first % destroy(), 'destroy')
    call must(.not. second % clone(c_loc(own), 4000_c_size_t), 'a clone of no heap')
    call says('shmheap_attach_at: this is no heap')
  end subroutine texts

  subroutine must_be_empty()
    integer(c_int) :: used
    integer(c_size_t) :: space
    call must(h % check(used_blocks=used, used_space=space), 'unsound')
    call must(all([used == 0, space == 0]), 'not empty')
  end subroutine must_be_empty

  subroutine heaps()
    type(shmem_heap) :: none
    real(8), pointer :: a(:)
    type(block_meta) :: meta
    type(heap_stats) :: stats
    garbage = 1234567
    call must(.not. none % create(c_null_ptr, 100000), 'a heap at null')
    call must(.not. none % create(c_loc(small), 96), 'a heap of 96 bytes')
    call must(.not. none % create(c_loc(small), 0), 'a heap of 0 bytes')
    call must(.not. none % create(c_loc(memory), -1), 'a heap of -1 bytes')
    call must(.not. none % create(c_loc(memory), huge(1_c_size_t)), &
          'a heap of more bytes than there are')
    call must(.not. none % clone(c_null_ptr), 'a clone of null')
    call must(.not. none % clone(c_loc(garbage)), 'a clone of garbage')
    call must(all(garbage == 1234567), 'garbage touched')
    call must(.not. none % clone(c_loc(garbage), -1_c_size_t), 'a clone of -1 bytes')
    call must(.not. none % connect(name), 'a heap of that name')
    call must(.not. none % connect(''), 'a heap without a name')
    call must(.not. none % create('', 100000), 'a heap without a name')
    call must(.not. none % create(trim(name) // '/x/y', 100000), 'a heap in a folder')
    meta = none % allocate(a, [10])
    call must(all([meta % get_status() == SHMEM_HEAP_ALLOC_INVALID, .not. associated(a)]), &
          'an array in no heap')
    call must(.not. c_associated(none % alloc(10)), 'a block in no heap')
    call must(all([.not. none % free(16), .not. none % free(c_loc(garbage)), &
          .not. none % free(meta)]), 'a free in no heap')
    call must(all([none % get_size() == -1, .not. none % check(), &
          .not. none % get_stats(stats)]), 'figures of no heap')
    call must(all([.not. none % disconnect(), .not. none % destroy()]), 'an end of no heap')
    call must(.not. c_associated(none % get_ptr()), 'a pointer of no heap')
    call none % dump_info()
  end subroutine heaps

  subroutine expect(meta, status, what)
    type(block_meta), intent(in) :: meta
    integer, intent(in) :: status
    character(len=*), intent(in) :: what
    call must(meta % get_status() == status, what)
    if (status == SHMEM_HEAP_ALLOC_SUCCESS) call must(h % free(meta), what // ': free')
    call must(.not. h % free(meta), what // ': second free')
    call must_be_empty()
  end subroutine expect

  subroutine bounds()
    integer(2), pointer :: a(:,:,:)
    character(len=0), pointer :: nothing(:)
    integer, parameter :: bad = SHMEM_HEAP_INVALID_BOUNDS, good = SHMEM_HEAP_ALLOC_SUCCESS
    call expect(h % allocate(a, [2, 2]), good, 'fewer dims')
    call expect(h % allocate(a, [2, 2, 2, 1, 1]), good, 'more dims, of 1')
    call expect(h % allocate(a, [2, 2, 2, 2]), bad, 'more dims, not of 1')
    call expect(h % allocate(a, [2, 2, 2, 0]), bad, 'more dims, of 0')
    call expect(h % allocate(a, [2, 0, 2]), good, 'no elements')
    call must(associated(a) .and. all(shape(a) == [2, 0, 2]), 'an array without elements')
    call expect(h % allocate(a, [2, -1, 2]), bad, 'product negative')
    call expect(h % allocate(a, [-2, -2, 2]), bad, 'product positive of negatives')
    call expect(h % allocate(a, [2_int64, -huge(1_int64) - 1, 2_int64]), bad, 'least integer')
    call expect(h % allocate(a, [-5, -1], [-2, 2]), good, 'fewer bounds')
    call expect(h % allocate(a, [-5, -1, 1, 7], [-2, 2, 1, 7]), good, 'more bounds, of extent 1')
    call expect(h % allocate(a, [-5, -1, 1, 7], [-2, 2, 1, 8]), bad, 'more bounds, of extent 2')
    call expect(h % allocate(a, [1, 1], [2, 2, 1]), bad, 'size(min) < size(max)')
    call expect(h % allocate(a, [1, 1, 1], [2, 2]), bad, 'size(min) > size(max)')
    call expect(h % allocate(a, [1, 1, 1], [2, 0, 1]), bad, 'max = min - 1')
    call expect(h % allocate(a, [1, 5, 1], [2, 0, 1]), bad, 'max < min - 1')
    call expect(h % allocate(a, [1, 5, 5], [2, 0, 0]), bad, 'max < min - 1 twice')
    call expect(h % allocate(a, [-huge(1_int64), 1_int64], [huge(1_int64), 1_int64]), bad, &
          'extent beyond int64')
    call expect(h % allocate(nothing, [5]), bad, 'strings of length 0')
  end subroutine bounds

  subroutine sizes()
    real(8), pointer :: a(:,:), most(:)
    type(block_meta) :: meta
    integer(int64) :: half
    call expect(h % allocate(a, [huge(1_int64), 1_int64]), SHMEM_HEAP_ALLOC_FAILED, &
          'bytes beyond int64')
    call expect(h % allocate(a, [huge(1), huge(1)]), SHMEM_HEAP_ALLOC_FAILED, &
          'elements beyond int64')
    call expect(h % allocate(a, [1000000, 1], timeout_ms=-1), SHMEM_HEAP_ALLOC_FAILED, &
          'more than the heap, for ever')
    call expect(h % allocate(a, [1000000, 1], timeout_ms=0), SHMEM_HEAP_ALLOC_FAILED, &
          'more than the heap, at once')
    half = h % get_size() / 16 + 10
    meta = h % allocate(most, [half])
    call must(meta % get_status() == SHMEM_HEAP_ALLOC_SUCCESS, 'half')
    most = 1
    call must(status_of(half, 0) == SHMEM_HEAP_ALLOC_TIMEOUT, 'the other half, at once')
    call must(status_of(half, 20) == SHMEM_HEAP_ALLOC_TIMEOUT, 'the other half, in time')
    call must(all(nint(most) == 1), 'array touched')
    call must(h % free(meta), 'free of half')
    call must(.not. c_associated(h % alloc(huge(1_c_size_t))), 'alloc(huge)')
    call must(.not. c_associated(h % alloc(huge(1_c_size_t), .true.)), 'alloc(huge, safe)')
    call must(.not. c_associated(h % alloc(-1)), 'alloc(-1)')
    call must_be_empty()
  end subroutine sizes

  function status_of(n, timeout_ms) result(status)
    integer(int64), intent(in) :: n
    integer, intent(in) :: timeout_ms
    integer :: status
    real(8), pointer :: a(:)
    type(block_meta) :: meta
    meta = h % allocate(a, [n], timeout_ms=timeout_ms)
    status = meta % get_status()
    call must(.not. associated(a), 'associated')
  end function status_of

  subroutine blocks()
    integer(4), pointer :: a(:), b(:)
    type(block_meta) :: meta, next, none
    integer(HEAP_ELEMENT) :: offset, wrong(7)
    integer :: i
    call must(all([none % get_status() == SHMEM_HEAP_ALLOC_INVALID, none % get_offset() == 0]), &
          'a new block_meta')
    call must(all([.not. h % free(none), .not. h % get_array(none, a)]), 'a new block_meta')
    meta = h % allocate(a, [100])
    a = 5
    offset = meta % get_offset()
    wrong = [0_HEAP_ELEMENT, -offset, offset + 4, offset + 16, int(size(memory) * 4, &
          HEAP_ELEMENT), &
             huge(offset), -huge(offset) - 1]
    do i = 1, size(wrong)
      call must(.not. h % free(wrong(i)), 'free of a wrong offset')
      call must(all([.not. h % get_array(wrong(i), b), .not. associated(b)]), &
            'an array at a wrong offset')
      call must(.not. c_associated(h % get_address_from_offset(wrong(i))), &
            'address of a wrong offset')
      call must(h % get_block_size(wrong(i)) == 0, 'size at a wrong offset')
      none = h % get_block_meta(wrong(i))
      call must(none % get_status() == SHMEM_HEAP_ALLOC_INVALID, 'meta at a wrong offset')
    end do
    call must(all([.not. h % free(c_null_ptr), .not. h % is_valid_block(c_null_ptr)]), 'null')
    call must(all([.not. h % free(c_loc(garbage)), &
          h % get_offset_from_address(c_loc(garbage)) == -1]), 'foreign memory')
    call must(all([.not. h % free(c_loc(a(5))), .not. h % is_valid_block(c_loc(a(5)))]), &
          'inside an array')
    call must(all([h % is_valid_block(c_loc(a)), all(a == 5)]), 'array touched')
    call must(h % get_block_size(c_loc(a)) >= 400, 'size of an array')
    call must(all([h % free(meta), .not. h % free(meta)]), 'free')
    ! Another array where this one was: the old meta does not touch it.
    next = h % allocate(b, [100])
    call must(all([next % get_offset() == offset, next == meta]), 'not at the same place')
    call must(all([.not. h % free(meta), .not. h % get_array(meta, a)]), 'an old meta')
    call must(h % free(next), 'free of the next')
    meta = next
    call must(meta == next, 'a copy is equal')
    call meta % reset()
    call must(all([meta % get_status() == SHMEM_HEAP_ALLOC_INVALID, meta /= next]), 'reset')
    call must_be_empty()
  end subroutine blocks

  ! Copies of a heap that was disconnected.
  subroutine fallen_heap()
    type(shmem_heap) :: copy
    type(block_meta) :: meta
    integer(4), pointer :: a(:)
    copy = h
    call must(h % disconnect(), 'disconnect')
    call must(.not. c_associated(h % get_ptr()), 'pointer after disconnect')
    meta = copy % allocate(a, [10])
    call must(all([meta % get_status() == SHMEM_HEAP_ALLOC_INVALID, .not. associated(a)]), &
          'an array in a copy')
    call must(.not. copy % disconnect(), 'second disconnect')
  end subroutine fallen_heap
end program bad_input
