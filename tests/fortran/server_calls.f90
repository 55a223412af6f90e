! The calls as programs for IO servers write them: contiguous pointers, a flag for safety by
! position, kinds of C, heaps in other types.
! SPDX-License-Identifier: Apache-2.0
!
! server_calls NAME
program server_calls
  use, intrinsic :: iso_c_binding
  use shmem_heap_module
  implicit none

  ! A stream keeps the heap that its arrays are in.
  type :: stream
    integer :: id = -1
    type(shmem_heap) :: heap
  end type stream

  ! What a model sends to its server.
  type :: record
    integer :: bytes = 0
    integer(c_size_t) :: offset = 0
    integer(c_int64_t) :: extents(MAX_ARRAY_RANK) = 0
  end type record

  type(shmem_heap) :: h
  type(stream) :: streams(2)
  character(len=256) :: name
  call get_command_argument(1, name)
  if (.not. h % create(name, 4000000_c_size_t)) error stop 'no heap'
  streams = stream(1, h)
  call bounds(h)
  call assemble(streams(2) % heap)
  call several(streams(1) % heap)
  call named()
  call must(h % check(), 'unsound')
  call must(h % destroy(), 'not destroyed')
  print '(a)', 'good'

contains

  subroutine must(condition, what)
    logical, intent(in) :: condition
    character(len=*), intent(in) :: what
    if (.not. condition) then
      print '(a)', what
      error stop
    end if
  end subroutine must

  subroutine bounds(heap)
    type(shmem_heap), intent(inout) :: heap
    integer(c_int16_t), contiguous, pointer :: a(:,:,:)
    nullify(a)
    call try(heap, a, [2_c_int64_t, 2_c_int64_t], expected=SHMEM_HEAP_ALLOC_SUCCESS)
    call try(heap, a, [2_c_int64_t, 2_c_int64_t, 3_c_int64_t, 1_c_int64_t], &
          expected=SHMEM_HEAP_ALLOC_SUCCESS)
    call try(heap, a, [2_c_int64_t, 2_c_int64_t, 3_c_int64_t, 2_c_int64_t], &
          expected=SHMEM_HEAP_INVALID_BOUNDS)
    call try(heap, a, [-5_c_int64_t, 4_c_int64_t], [-5_c_int64_t, 6_c_int64_t], &
          SHMEM_HEAP_ALLOC_SUCCESS)
    call try(heap, a, [1_c_int64_t, 1_c_int64_t], [2_c_int64_t], SHMEM_HEAP_INVALID_BOUNDS)
    call try(heap, a, [1_c_int64_t, 2_c_int64_t], [2_c_int64_t, 0_c_int64_t], &
          SHMEM_HEAP_INVALID_BOUNDS)
  end subroutine bounds

  subroutine try(heap, a, first, last, expected)
    type(shmem_heap), intent(inout) :: heap
    integer(c_int16_t), contiguous, pointer, intent(inout) :: a(:,:,:)
    integer(c_int64_t), intent(in) :: first(:)
    integer(c_int64_t), intent(in), optional :: last(:)
    integer, intent(in) :: expected
    type(block_meta) :: meta
    if (present(last)) then
      meta = heap % allocate(a, first, last)
    else
      meta = heap % allocate(a, first, .true.)
    end if
    call must(meta % get_status() == expected, 'another status')
    call must(associated(a) .eqv. expected == SHMEM_HEAP_ALLOC_SUCCESS, 'associated')
    if (.not. associated(a)) return
    if (present(last)) call must(all(lbound(a, kind=c_int64_t) == [first(1:2), 1_c_int64_t]), &
          'bounds')
    call must(heap % is_valid_block(c_loc(a)), 'no block at the array')
    call must(heap % free(meta), 'not freed')
    call must(.not. heap % free(meta), 'freed twice')
  end subroutine try

  ! As bytes of rank 5, whatever the elements are; found again by address, freed by offset.
  subroutine assemble(heap)
    type(shmem_heap), intent(inout) :: heap
    integer(c_int8_t), contiguous, pointer :: bytes(:,:,:,:,:), again(:,:,:,:,:)
    type(record) :: sent
    type(block_meta) :: meta
    sent % extents = [6, 5, 4, 3, 2]
    sent % bytes = 8
    sent % extents(1) = sent % extents(1) * sent % bytes
    meta = heap % allocate(bytes, sent % extents)
    call must(associated(bytes), 'no bytes')
    call must(all(meta % get_dimensions() == sent % extents), 'dimensions')
    call must(meta % get_kind() == 1 .and. meta % get_rank() == MAX_ARRAY_RANK, 'kind and rank')
    sent % offset = meta % get_offset()
    bytes = 7_c_int8_t
    call c_f_pointer(heap % get_address_from_offset(sent % offset), again, sent % extents)
    call must(associated(again, bytes), 'another place')
    call must(heap % get_block_size(sent % offset) >= 8 * 6 * 5 * 4 * 3 * 2, 'block size')
    call must(heap % free(sent % offset), 'not freed')
    call must(.not. c_associated(heap % get_address_from_offset(sent % offset)), 'still there')
  end subroutine assemble

  ! Descriptions in an array, one assigned at a time; statistics as reals.
  subroutine several(heap)
    type(shmem_heap), intent(inout) :: heap
    type(block_meta) :: metas(3)
    real(c_float), contiguous, pointer :: a(:,:)
    real(c_double), contiguous, pointer :: b(:)
    integer(c_int64_t), contiguous, pointer :: c(:)
    type(heap_stats) :: before, after
    real(c_double) :: blocks
    integer :: i
    call must(heap % get_stats(before), 'no statistics')
    metas(1) = heap % allocate(a, [60_c_int64_t, 60_c_int64_t], .false.)
    metas(2) = heap % allocate(b, [100], use_safe_alloc=.true., timeout_ms=0)
    metas(3) = heap % allocate(c, [1], [50], timeout_ms=20)
    call must(associated(a) .and. associated(b) .and. associated(c), 'not allocated')
    call must(all([(metas(i) % get_type() == merge(SHMEM_HEAP_INTEGER, SHMEM_HEAP_REAL, i == 3), &
          i = 1, 3)]), 'types')
    call must(heap % get_stats(after), 'no statistics')
    blocks = after % total_alloc_block - before % total_alloc_block
    call must(nint(blocks) == 3, 'blocks counted')
    call must(after % total_alloc_byte - before % total_alloc_byte >= 4 * 3600 + 8 * 150, &
          'bytes counted')
    do i = 1, 3
      call must(heap % free(metas(i) % get_offset()), 'not freed')
    end do
  end subroutine several

  ! By another connection, as another process has one.
  subroutine named()
    type(shmem_heap) :: other
    type(c_ptr) :: mine, its
    integer(c_size_t) :: nbytes
    integer(c_int) :: before, used
    logical :: in_use
    call must(other % connect(name), 'not connected')
    call must(h % check(used_blocks=before), 'unsound')
    call must(.not. c_associated(h % find('grid', nbytes)) .and. nbytes == 0, &
          'a name before it was made')
    mine = h % alloc_named('grid', 1000)
    its = other % alloc_named('grid  ', 500_c_size_t)
    call must(c_associated(mine) .and. c_associated(its), 'no block of that name')
    call must(h % get_offset_from_address(mine) == other % get_offset_from_address(its), &
          'two blocks of one name')
    call must(c_associated(other % find('grid', nbytes), its) .and. nbytes == 1000, 'not found')
    call must(.not. c_associated(h % find('Grid')), 'a name that is none')
    call must(.not. c_associated(h % alloc_named('grid', 1001)), 'more bytes than there are')
    call must(.not. c_associated(h % alloc_named('grid', -1)), 'bytes below 0')
    call must(.not. c_associated(h % alloc_named('', 10)), 'no name')
    call must(.not. c_associated(h % alloc_named(repeat('x', 256), 10)), 'too long a name')
    call must(h % free(mine), 'not freed')
    call must(c_associated(other % find('grid'), its), 'gone with the first free')
    call must(other % free(its), 'not freed')
    call must(.not. c_associated(h % find('grid')), 'there after the last free')
    call must(.not. h % free(mine), 'freed once too often')
    ! Kept.
    call must(.not. h % keep('grid'), 'a name that is none')
    call must(.not. h % remove_name('grid', in_use), 'a name that is none')
    call must(.not. in_use, 'in use, but a name that is none')
    mine = h % alloc_named('grid', 100)
    call must(h % keep('grid  '), 'not kept')
    call must(h % free(mine), 'not freed')
    call must(c_associated(h % find('grid'), mine), 'a kept name is gone with its last use')
    its = other % alloc_named('grid', 100)
    call must(h % remove_name('grid', in_use), 'not removed')
    call must(in_use, 'not in use')
    call must(c_associated(h % find('grid'), mine), 'gone while in use')
    call must(h % keep('grid'), 'not kept')
    call must(other % free(its), 'not freed')
    call must(h % remove_name('grid', in_use), 'not removed')
    call must(.not. in_use, 'in use')
    call must(.not. c_associated(h % find('grid')), 'there after it was removed')
    call must(h % check(used_blocks=used), 'unsound')
    call must(used == before, 'blocks left over')
    call must(other % disconnect(), 'not disconnected')
  end subroutine named
end program server_calls
