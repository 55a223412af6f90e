! block_meta describes an array in a heap. SPDX-License-Identifier: Apache-2.0
!
! allocate returns it. It may be copied as it is, also to another process: storage_size(meta) / 8
! bytes, MPI_BYTE. It says where an array was; h % get_array and h % free find out whether the array
! still is there. shmem_heap_module gives this type the name block_meta_f08, too.
module shmem_heap_meta
  use, intrinsic :: iso_c_binding, only: c_associated, c_int, c_int32_t, c_int64_t, c_null_ptr, &
      c_ptr
  use, intrinsic :: iso_fortran_env, only: output_unit
  use shmem_heap_c, only: array_record, MAX_RANK, ShmemHeap_array_at, ShmemHeap_array_resolve
  implicit none
  private

  ! Results of get_status.
  integer(c_int32_t), parameter, public :: SHMEM_HEAP_ALLOC_SUCCESS = 0
  ! never allocated, or no heap
  integer(c_int32_t), parameter, public :: SHMEM_HEAP_ALLOC_INVALID = -1
  integer(c_int32_t), parameter, public :: SHMEM_HEAP_INVALID_BOUNDS = -2 ! bounds contradict
  integer(c_int32_t), parameter, public :: SHMEM_HEAP_ALLOC_TIMEOUT = -3  ! not enough freed in time
  ! never fits, or damaged heap
  integer(c_int32_t), parameter, public :: SHMEM_HEAP_ALLOC_FAILED = -4

  ! Results of get_type.
  integer(c_int32_t), parameter, public :: SHMEM_HEAP_INTEGER = 1, SHMEM_HEAP_REAL = 2, &
      SHMEM_HEAP_COMPLEX = 3, &
                                           SHMEM_HEAP_LOGICAL = 4, SHMEM_HEAP_CHARACTER = 5

  ! The length of get_dimensions() for arrays of up to that rank. The heap itself takes rank 7.
  integer, parameter, public :: MAX_ARRAY_RANK = 5

  type, public :: block_meta
    type(array_record), private :: record
    ! The connection of the array: valid in this process alone, and checked before use.
    type(c_ptr), private :: heap = c_null_ptr
    ! Without a heap: the address that ptr_to_bm saw.
    type(c_ptr), private :: address = c_null_ptr
  contains
    procedure, public :: get_offset, get_type, get_kind, get_rank, get_status, get_element_size
    procedure, public :: get_dimensions, get_lower_bounds
    procedure, public :: get_ptr, retrieve_metadata
    procedure, public :: print => print_meta
    procedure, public :: reset, assign
    procedure, public :: equal, unequal_meta
    generic, public :: operator(==) => equal
    generic, public :: operator(/=) => unequal_meta
  end type block_meta

  public :: meta_of, record_of

contains

  ! Returns the bytes from the start of the heap, to send to other processes; 0 for no array.
  pure function get_offset(this) result(offset)
    class(block_meta), intent(in) :: this
    integer(c_int64_t) :: offset
    offset = this % record % offset
  end function get_offset

  ! Returns SHMEM_HEAP_INTEGER ...; 0 for no array.
  pure function get_type(this) result(type)
    class(block_meta), intent(in) :: this
    integer(c_int32_t) :: type
    type = this % record % type
  end function get_type

  ! Returns 1, 2, 4 or 8, as in integer(2), complex(8); 0 for no array.
  pure function get_kind(this) result(kind)
    class(block_meta), intent(in) :: this
    integer(c_int32_t) :: kind
    kind = this % record % kind
  end function get_kind

  ! Returns 1 to 7; 0 for no array.
  pure function get_rank(this) result(rank)
    class(block_meta), intent(in) :: this
    integer(c_int32_t) :: rank
    rank = this % record % rank
  end function get_rank

  pure function get_status(this) result(status)
    class(block_meta), intent(in) :: this
    integer(c_int32_t) :: status
    status = this % record % status
  end function get_status

  ! Returns the bytes of an element; for characters their length.
  pure function get_element_size(this) result(bytes)
    class(block_meta), intent(in) :: this
    integer(c_int64_t) :: bytes
    bytes = this % record % element
  end function get_element_size

  pure function length(this)
    class(block_meta), intent(in) :: this
    integer :: length
    length = max(MAX_ARRAY_RANK, min(this % record % rank, MAX_RANK))
  end function length

  ! Returns 5 extents, those beyond the rank 1, or as many as the rank if that is more; 0 for no
  ! array.
  pure function get_dimensions(this) result(dims)
    class(block_meta), intent(in) :: this
    integer(c_int64_t) :: dims(length(this))
    dims = this % record % extents(1:size(dims))
  end function get_dimensions

  ! Returns the lower bounds, as many as get_dimensions returns.
  pure function get_lower_bounds(this) result(lower)
    class(block_meta), intent(in) :: this
    integer(c_int64_t) :: lower(length(this))
    lower = this % record % lower(1:size(lower))
  end function get_lower_bounds

  ! Returns where the array lies in this process. Null: the array does not exist (any more), or this
  ! came from another process.
  function get_ptr(this) result(address)
    class(block_meta), intent(in) :: this
    type(c_ptr) :: address
    address = this % address
    if (c_associated(this % heap)) address = ShmemHeap_array_resolve(this % heap, this % record)
  end function get_ptr

  ! Makes this describe the array at the address, in any heap that the process is connected to.
  ! Returns 0; -1, and this describes no array: none begins there. No other thread may end a
  ! connection meanwhile.
  function retrieve_metadata(this, block) result(status)
    class(block_meta), intent(inout) :: this
    type(c_ptr), intent(in), value :: block
    integer(c_int) :: status
    call reset(this)
    this % heap = ShmemHeap_array_at(block, this % record)
    status = merge(0, -1, c_associated(this % heap))
  end function retrieve_metadata

  ! Writes one line to unit, by default that of print *.
  subroutine print_meta(this, unit)
    class(block_meta), intent(in) :: this
    integer, intent(in), optional :: unit
    integer :: to, i
    character(len=9), parameter :: names(0:5) = [character(len=9) :: &
      'nothing', 'integer', 'real', 'complex', 'logical', 'character']
    to = output_unit
    if (present(unit)) to = unit
    associate (r => this % record)
      write (to, '(3a, i0, a, i0, a, i0, a)', advance='no') 'block_meta: ', &
        trim(names(merge(r % type, 0, r % type >= 0 .and. r % type <= 5))), '(', r % kind, &
        '), status ', r % status, &
        ', offset ', r % offset, ', bounds'
      do i = 1, min(r % rank, MAX_RANK)
        write (to, '(a, i0, a, i0)', advance='no') ' ', r % lower(i), ':', r % lower(i) &
            + r % extents(i) - 1
      end do
      write (to, '(a)') ''
    end associate
  end subroutine print_meta

  ! Resets this to no array. Frees nothing.
  subroutine reset(this)
    class(block_meta), intent(inout) :: this
    this % record = array_record()
    this % heap = c_null_ptr
    this % address = c_null_ptr
  end subroutine reset

  ! Does this = other.
  subroutine assign(this, other)
    class(block_meta), intent(inout) :: this
    type(block_meta), intent(in) :: other
    this % record = other % record
    this % heap = other % heap
    this % address = other % address
  end subroutine assign

  ! Whether both describe arrays of equal type, kind, rank, element and extents. Place and lower
  ! bounds do not count.
  elemental function equal(this, other)
    class(block_meta), intent(in) :: this
    type(block_meta), intent(in) :: other
    logical :: equal
    associate (a => this % record, b => other % record)
      equal = a % type == b % type .and. a % kind == b % kind .and. a % rank == b % rank .and. &
              a % element == b % element .and. all(a % extents == b % extents)
    end associate
  end function equal

  elemental function unequal_meta(this, other)
    class(block_meta), intent(in) :: this
    type(block_meta), intent(in) :: other
    logical :: unequal_meta
    unequal_meta = .not. this % equal(other)
  end function unequal_meta

  ! For shmem_heap_module.
  pure function meta_of(record, heap, address) result(meta)
    type(array_record), intent(in) :: record
    type(c_ptr), intent(in) :: heap
    type(c_ptr), intent(in), optional :: address
    type(block_meta) :: meta
    meta % record = record
    meta % heap = heap
    if (present(address)) meta % address = address
  end function meta_of

  pure function record_of(meta) result(record)
    type(block_meta), intent(in) :: meta
    type(array_record) :: record
    record = meta % record
  end function record_of
end module shmem_heap_meta
