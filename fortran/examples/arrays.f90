! Arrays by dimensions and by bounds, freed by their descriptions.
! SPDX-License-Identifier: Apache-2.0
program arrays
  use, intrinsic :: iso_c_binding, only: c_size_t
  use shmem_heap_module
  implicit none
  type(shmem_heap) :: h
  type(block_meta) :: imeta, dmeta, smeta
  integer(4), pointer :: iarray(:,:)
  real(8), pointer :: darray(:,:,:,:)
  character(len=12), pointer :: stations(:)
  integer, parameter :: ni = 20, nj = 10, nk = 5, nt = 2, i0 = -3, j0 = 0
  character(len=256) :: name

  call get_command_argument(1, name)
  if (.not. h % create(name, 10000000_c_size_t)) &
      error stop 'no heap made; if the name is in use: shmheap rm NAME'

  ! By dimensions.
  imeta = h % allocate(iarray, [ni, nj])
  call must_be_good(imeta)
  iarray(:, :) = 0
  call imeta % print()
  if (.not. h % free(imeta)) error stop 'not freed'

  dmeta = h % allocate(darray, [ni, nj, nk, nt])
  call must_be_good(dmeta)
  darray(:, :, :, :) = 0.0d0
  call dmeta % print()
  if (.not. h % free(dmeta)) error stop 'not freed'

  ! By bounds, which the array then has.
  imeta = h % allocate(iarray, [i0, j0], [i0 + ni - 1, j0 + nj - 1])
  call must_be_good(imeta)
  iarray(:, :) = 0
  if (any(lbound(iarray) /= [i0, j0]) .or. any(shape(iarray) /= [ni, nj])) error stop 'other bounds'
  call imeta % print()
  if (.not. h % free(imeta)) error stop 'not freed'

  ! With keywords, waiting 500 ms at most until another process frees memory.
  dmeta = h % allocate(darray, min_bound=[1, 1, 0, 1], max_bound=[ni, nj, nk, nt], timeout_ms=500)
  call must_be_good(dmeta)
  call dmeta % print()
  if (.not. h % free(dmeta)) error stop 'not freed'

  ! Strings.
  smeta = h % allocate(stations, [3])
  call must_be_good(smeta)
  stations = [character(len=12) :: 'Alert', 'Eureka', 'Resolute']
  call smeta % print()
  if (.not. h % free(smeta)) error stop 'not freed'

  ! What is wrong gives a status, not a stop.
  imeta = h % allocate(iarray, [ni, -nj])
  if (imeta % get_status() /= SHMEM_HEAP_INVALID_BOUNDS .or. associated(iarray)) &
      error stop 'allocated?'
  if (.not. h % destroy()) error stop 'not destroyed'

contains

  subroutine must_be_good(meta)
    type(block_meta), intent(in) :: meta
    if (meta % get_status() /= SHMEM_HEAP_ALLOC_SUCCESS) error stop 'not allocated'
  end subroutine must_be_good
end program arrays
