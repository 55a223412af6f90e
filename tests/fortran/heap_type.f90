! The heap's type by its earlier name, in the module of that name.
! SPDX-License-Identifier: Apache-2.0
!
! heap_type NAME
program heap_type
  use, intrinsic :: iso_c_binding
  use heap_module
  implicit none
  type(heap) :: h
  type(block_meta_f08) :: info
  real(c_float), pointer :: a(:,:)
  character(len=256) :: name
  call get_command_argument(1, name)
  if (.not. h % create(name, 100000_c_size_t)) error stop 'create'
  info = h % allocate(a, [3_c_int64_t, 4_c_int64_t], use_safe_alloc=.true.)
  if (.not. associated(a)) error stop 'allocate'
  if (info % get_type() /= 2 .or. info % get_kind() /= 4) error stop 'codes'
  if (Pointer_offset(c_loc(a), c_loc(a(2, 4)), 4) /= 10) error stop 'Pointer_offset'
  if (.not. h % free(info)) error stop 'free'
  if (.not. h % destroy()) error stop 'destroy'
end program heap_type
