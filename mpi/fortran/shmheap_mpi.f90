! shmheap_mpi_module: the calls of shmheap_mpi.h and, for named objects, of shmheap.h, for Fortran.
! The headers describe the calls. SPDX-License-Identifier: Apache-2.0
!
! Names end in c_null_char. Communicators are integers: with mpi_f08, comm % MPI_VAL. A call that
! fails returns -1 or c_null_ptr; perror prints the reason.
module shmheap_mpi_module
  use, intrinsic :: iso_c_binding, only: c_ptr, c_null_ptr, c_char, c_int, c_size_t
  implicit none
  private
  public :: shmheap_mpi_open, shmheap_mpi_communicator, shmheap_mpi_close, shmheap_mpi_leave
  public :: shmheap_alloc_named, shmheap_try_free, perror

  integer(c_int), parameter, public :: SHMHEAP_MPI_NODE = 0, SHMHEAP_MPI_SOCKET = 1

  ! shmheap_memory_handle
  type, bind(c), public :: shmheap_memory
    type(c_ptr) :: heap = c_null_ptr
  end type

  ! shmheap_options: sizes in bytes; zero means the default.
  type, bind(c), public :: shmheap_options
    integer(c_size_t) :: len = 0, max_len = 0, alignment = 0
    integer(c_int) :: flags = 0, mode = 0, timeout_ms = 0
  end type

  interface
    function shmheap_mpi_open(mem, name, options, comm, scope) result(status) bind(c, &
        name='shmheap_mpi_open_f')
      import :: shmheap_memory, shmheap_options, c_char, c_int
      type(shmheap_memory), intent(out) :: mem
      character(kind=c_char), intent(in) :: name(*)
      type(shmheap_options), intent(in) :: options
      integer(c_int), value :: comm ! MPI_Fint
      integer(c_int), value :: scope
      integer(c_int) :: status
    end function

    function shmheap_mpi_communicator(mem) result(comm) bind(c, name='shmheap_mpi_communicator_f')
      import :: shmheap_memory, c_int
      type(shmheap_memory), value :: mem
      integer(c_int) :: comm
    end function

    function shmheap_mpi_close(mem) result(status) bind(c, name='shmheap_mpi_close')
      import :: shmheap_memory, c_int
      type(shmheap_memory), value :: mem
      integer(c_int) :: status
    end function

    function shmheap_mpi_leave(mem) result(status) bind(c, name='shmheap_mpi_leave')
      import :: shmheap_memory, c_int
      type(shmheap_memory), value :: mem
      integer(c_int) :: status
    end function

    function shmheap_alloc_named(mem, name, size) result(object) bind(c, name='shmheap_alloc_named')
      import :: shmheap_memory, c_ptr, c_char, c_size_t
      type(shmheap_memory), value :: mem
      character(kind=c_char), intent(in) :: name(*)
      integer(c_size_t), value :: size
      type(c_ptr) :: object
    end function

    function shmheap_try_free(mem, object) result(status) bind(c, name='shmheap_try_free')
      import :: shmheap_memory, c_ptr, c_int
      type(shmheap_memory), value :: mem
      type(c_ptr), value :: object
      integer(c_int) :: status
    end function

    ! Of the C library: prints the text, and why the last call failed.
    subroutine perror(what) bind(c, name='perror')
      import :: c_char
      character(kind=c_char), intent(in) :: what(*)
    end subroutine
  end interface
end module shmheap_mpi_module
