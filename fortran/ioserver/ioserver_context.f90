! ioserver_context_module: the roles (model or server) of a node's processes, and the heaps they
! share. SPDX-License-Identifier: Apache-2.0
!
!   type(ioserver_context) :: context
!   type(ioserver_input_parameters) :: params
!   type(shmem_heap) :: h
!   params % model_heap_size_mb = 500.0
!   if (.not. context % init(params)) error stop 'no context'
!   h = context % get_local_heap()
!   call context % finalize() ! at the end
!
! Each node has one shared segment without a name, with a heap for each of its processes. Every
! process is connected to all of them, and finds a block of another process by its heap and its
! offset. The segment ends with the last process of the node, however that process ends.
module ioserver_context_module
  use, intrinsic :: iso_c_binding
  use, intrinsic :: iso_fortran_env, only: error_unit
  use mpi_f08
  use shmem_heap_module
  implicit none
  private
  public :: shmem_heap

  ! The arguments of init. All processes of a node pass the same num_server_per_node.
  type, public :: ioserver_input_parameters
    integer :: num_server_per_node = 1 ! the last processes of each node serve, unless:
    logical :: is_on_server = .false.  ! if any process of a node sets this, those that set it serve
    real :: model_heap_size_mb = 50.0  ! of each process's own heap; may differ among processes
    real :: server_heap_size_mb = 50.0 ! of the heap that all processes of a node with servers share
  end type ioserver_input_parameters

  ! struct node_segment.
  type, bind(c) :: segment_record
    integer(c_int64_t) :: bytes = 0, pid = 0, fd = 0, device = 0, inode = 0, made = 0
  end type segment_record

  type, public :: ioserver_context
    private
    logical :: is_open = .false., serves = .false.
    integer :: num_model = 0, node_rank = -1, node_size = 0
    type(MPI_Comm) :: global_comm = MPI_COMM_NULL ! a copy of init's
    type(MPI_Comm) :: node_comm = MPI_COMM_NULL   ! of this node, model processes first
    type(MPI_Comm) :: role_comm = MPI_COMM_NULL   ! all model processes of all nodes, or all servers
    type(c_ptr) :: memory = c_null_ptr
    type(segment_record) :: segment
    type(shmem_heap), pointer :: heaps(:) => null() ! as node_comm
    type(shmem_heap) :: node_heap
    logical, allocatable :: connected(:)            ! to each heap, and the node's
  contains
    procedure, private :: init_comm, init_handle
    ! init(params [, comm]): comm, by default MPI_COMM_WORLD, is a type(MPI_Comm) or an integer.
    generic, public :: init => init_comm, init_handle
    procedure, public :: finalize
    procedure, public :: is_initialized, is_model, is_server
    procedure, public :: get_local_heap, get_heap_list, get_node_heap
    procedure, public :: get_num_local_model, get_global_rank, get_node_rank
    procedure, public :: get_node_comm, get_role_comm
  end type ioserver_context

  integer(c_int64_t), parameter :: page = 4096

  interface
    function node_segment_make(bytes, segment) result(memory) bind(c, name='node_segment_make')
      import :: c_ptr, c_int64_t, segment_record
      integer(c_int64_t), value :: bytes
      type(segment_record), intent(out) :: segment
      type(c_ptr) :: memory
    end function
    function node_segment_available() result(bytes) bind(c, name='node_segment_available')
      import :: c_int64_t
      integer(c_int64_t) :: bytes
    end function
    function node_segment_join(segment) result(memory) bind(c, name='node_segment_join')
      import :: c_ptr, segment_record
      type(segment_record), intent(in) :: segment
      type(c_ptr) :: memory
    end function
    subroutine node_segment_close_fd(segment) bind(c, name='node_segment_close_fd')
      import :: segment_record
      type(segment_record), intent(in) :: segment
    end subroutine
    function node_segment_at(memory, offset) result(address) bind(c, name='node_segment_at')
      import :: c_ptr, c_int64_t
      type(c_ptr), value :: memory
      integer(c_int64_t), value :: offset
      type(c_ptr) :: address
    end function
    subroutine node_segment_leave(memory, bytes) bind(c, name='node_segment_leave')
      import :: c_ptr, c_int64_t
      type(c_ptr), value :: memory
      integer(c_int64_t), value :: bytes
    end subroutine
  end interface

contains

  ! All processes of comm call it together, after MPI_Init. .false. on all of them, with nothing
  ! left behind and a line on error_unit for each reason: MPI is not initialised, this context is
  ! already open, the parameters are invalid, or a node lacks the memory.
  function init_comm(this, params, comm) result(success)
    class(ioserver_context), intent(inout) :: this
    type(ioserver_input_parameters), intent(in) :: params
    type(MPI_Comm), intent(in), optional :: comm
    logical :: success
    type(MPI_Comm) :: from
    logical :: running
    success = .false.
    call MPI_Initialized(running)
    if (.not. running .or. this % is_open) then
      call complain(trim(merge('this context is open already     ', &
          'call MPI_Init before this context', running)))
      return
    end if
    from = MPI_COMM_WORLD
    if (present(comm)) from = comm
    call MPI_Comm_dup(from, this % global_comm)
    success = everywhere(this % global_comm, parameters_good(params))
    if (success) then
      call split(this, params)
      success = everywhere(this % global_comm, node_made(this, params))
    end if
    this % is_open = success
    if (.not. success) call leave(this)
  end function init_comm

  function init_handle(this, params, comm) result(success)
    class(ioserver_context), intent(inout) :: this
    type(ioserver_input_parameters), intent(in) :: params
    integer, intent(in) :: comm
    logical :: success
    type(MPI_Comm) :: from
    from % MPI_VAL = comm
    success = init_comm(this, params, from)
  end function init_handle

  ! Leaves the heaps; pointers into them are then invalid. Does not wait. Precedes MPI_Finalize.
  subroutine finalize(this)
    class(ioserver_context), intent(inout) :: this
    if (this % is_open) call leave(this)
    this % is_open = .false.
  end subroutine finalize

  pure function is_initialized(this)
    class(ioserver_context), intent(in) :: this
    logical :: is_initialized
    is_initialized = this % is_open
  end function is_initialized

  pure function is_model(this)
    class(ioserver_context), intent(in) :: this
    logical :: is_model
    is_model = this % is_open .and. .not. this % serves
  end function is_model

  pure function is_server(this)
    class(ioserver_context), intent(in) :: this
    logical :: is_server
    is_server = this % is_open .and. this % serves
  end function is_server

  ! Returns the heap made for this process.
  function get_local_heap(this) result(heap)
    class(ioserver_context), intent(in) :: this
    type(shmem_heap) :: heap
    if (this % is_open) heap = this % heaps(this % node_rank + 1)
  end function get_local_heap

  ! Returns all heaps of the node's processes, in the order of get_node_comm, so the model's first.
  ! Valid until finalize.
  subroutine get_heap_list(this, heaps)
    class(ioserver_context), intent(in) :: this
    type(shmem_heap), pointer, intent(out) :: heaps(:)
    heaps => this % heaps
  end subroutine get_heap_list

  ! Returns the heap that the node's processes share; no heap on a node without servers.
  function get_node_heap(this) result(heap)
    class(ioserver_context), intent(in) :: this
    type(shmem_heap) :: heap
    heap = this % node_heap
  end function get_node_heap

  ! Returns the number of model processes on this node: the first ranks of get_node_comm.
  pure function get_num_local_model(this) result(n)
    class(ioserver_context), intent(in) :: this
    integer :: n
    n = this % num_model
  end function get_num_local_model

  function get_global_rank(this) result(rank)
    class(ioserver_context), intent(in) :: this
    integer :: rank
    rank = rank_in(this % global_comm)
  end function get_global_rank

  ! In get_node_comm, from 0.
  pure function get_node_rank(this) result(rank)
    class(ioserver_context), intent(in) :: this
    integer :: rank
    rank = this % node_rank
  end function get_node_rank

  ! The processes of this node.
  pure function get_node_comm(this) result(comm)
    class(ioserver_context), intent(in) :: this
    type(MPI_Comm) :: comm
    comm = this % node_comm
  end function get_node_comm

  ! Returns the communicator of all model processes of all nodes, or of all servers.
  pure function get_role_comm(this) result(comm)
    class(ioserver_context), intent(in) :: this
    type(MPI_Comm) :: comm
    comm = this % role_comm
  end function get_role_comm

  subroutine complain(what)
    character(len=*), intent(in) :: what
    write (error_unit, '(2a)') 'ioserver_context: ', what
  end subroutine complain

  function rank_in(comm) result(rank)
    type(MPI_Comm), intent(in) :: comm
    integer :: rank
    rank = -1
    if (comm /= MPI_COMM_NULL) call MPI_Comm_rank(comm, rank)
  end function rank_in

  ! Whether here is true in all processes of comm.
  function everywhere(comm, here)
    type(MPI_Comm), intent(in) :: comm
    logical, intent(in) :: here
    logical :: everywhere
    call MPI_Allreduce(here, everywhere, 1, MPI_LOGICAL, MPI_LAND, comm)
  end function everywhere

  function parameters_good(params) result(good)
    type(ioserver_input_parameters), intent(in) :: params
    logical :: good
    good = params % num_server_per_node >= 0 .and. params % model_heap_size_mb > 0 .and. &
           params % model_heap_size_mb < 1e9 .and. params % server_heap_size_mb > 0 .and. &
           params % server_heap_size_mb < 1e9
    if (.not. good) call complain( &
        'num_server_per_node must be 0 or more, heap sizes above 0 and below 1e9 MB: correct them')
  end function parameters_good

  ! Roles and communicators.
  subroutine split(this, params)
    class(ioserver_context), intent(inout) :: this
    type(ioserver_input_parameters), intent(in) :: params
    type(MPI_Comm) :: node
    logical :: chosen
    integer :: n, rank, role
    call MPI_Comm_split_type(this % global_comm, MPI_COMM_TYPE_SHARED, &
        rank_in(this % global_comm), MPI_INFO_NULL, node)
    call MPI_Comm_size(node, n)
    rank = rank_in(node)
    call MPI_Allreduce(params % is_on_server, chosen, 1, MPI_LOGICAL, MPI_LOR, node)
    this % serves = merge(params % is_on_server, rank >= n - params % num_server_per_node, chosen)
    role = merge(1, 0, this % serves)
    call MPI_Comm_split(node, 0, role * n + rank, this % node_comm)
    call MPI_Comm_split(this % global_comm, role, rank_in(this % global_comm), this % role_comm)
    call MPI_Allreduce(1 - role, this % num_model, 1, MPI_INTEGER, MPI_SUM, this % node_comm)
    call MPI_Comm_free(node)
    this % node_rank = rank_in(this % node_comm)
    this % node_size = n
  end subroutine split

  ! MB as bytes in whole pages.
  pure function pages_of(mb) result(bytes)
    real, intent(in) :: mb
    integer(c_int64_t) :: bytes
    bytes = max(page, (int(real(mb, c_double) * 1048576, c_int64_t) + page - 1) / page * page)
  end function pages_of

  ! The segment and its heaps: [ process 0's ][ process 1's ] ... [ the node's ].
  function node_made(this, params) result(good)
    class(ioserver_context), intent(inout) :: this
    type(ioserver_input_parameters), intent(in) :: params
    logical :: good
    integer(c_int64_t) :: bytes(0:this % node_size)
    integer :: n
    n = this % node_size
    call MPI_Allgather(pages_of(params % model_heap_size_mb), 1, MPI_INTEGER8, bytes(:n - 1), 1, &
        MPI_INTEGER8, this % node_comm)
    bytes(n) = merge(pages_of(params % server_heap_size_mb), 0_c_int64_t, this % num_model < n)
    call MPI_Bcast(bytes(n), 1, MPI_INTEGER8, 0, this % node_comm)
    good = segment_mapped(this, sum(bytes))
    if (good) good = everywhere(this % node_comm, heaps_made(this, bytes))
    if (good) good = everywhere(this % node_comm, heaps_joined(this, bytes))
  end function node_made

  function segment_mapped(this, bytes) result(good)
    class(ioserver_context), intent(inout) :: this
    integer(c_int64_t), intent(in) :: bytes
    logical :: good
    integer(c_int64_t) :: numbers(6)
    if (this % node_rank == 0) this % memory = node_segment_make(bytes, this % segment)
    associate (s => this % segment)
      numbers = [s % bytes, s % pid, s % fd, s % device, s % inode, s % made]
      call MPI_Bcast(numbers, size(numbers), MPI_INTEGER8, 0, this % node_comm)
      s = segment_record(numbers(1), numbers(2), numbers(3), numbers(4), numbers(5), numbers(6))
      if (this % node_rank /= 0) this % memory = node_segment_join(s)
      good = everywhere(this % node_comm, c_associated(this % memory))
      call node_segment_close_fd(s)
      if (.not. good .and. this % node_rank == 0) then
        if (s % made == 0) then
          call complain_of_memory(bytes)
        else
          call complain('not all processes of a node reach its segment: run them as one user, ' // &
                        'in one PID namespace')
        end if
      end if
    end associate
  end function segment_mapped

  ! Rounded so that a request that is too large shows as larger. A limit refused one that fits.
  subroutine complain_of_memory(bytes)
    integer(c_int64_t), intent(in) :: bytes
    integer(c_int64_t), parameter :: mb = 1048576
    integer(c_int64_t) :: available
    character(len=200) :: line
    available = node_segment_available()
    write (line, '(3(a, i0))') 'the heaps of a node take ', (bytes + mb - 1) / mb, &
      ' MB of shared memory, and ', max(available, 0_c_int64_t) / mb, ' MB are available'
    if (available > bytes) &
      line = trim(line) // ', but a limit (of a container, for example) refuses them'
    call complain(trim(line) // ': ask for smaller heaps')
  end subroutine complain_of_memory

  function heap_at(this, bytes, i) result(address)
    class(ioserver_context), intent(in) :: this
    integer(c_int64_t), intent(in) :: bytes(0:)
    integer, intent(in) :: i
    type(c_ptr) :: address
    address = node_segment_at(this % memory, sum(bytes(:i - 1)))
  end function heap_at

  ! Each process makes its own heap; rank 0 also the node's.
  function heaps_made(this, bytes) result(good)
    class(ioserver_context), intent(inout) :: this
    integer(c_int64_t), intent(in) :: bytes(0:)
    logical :: good
    integer :: me, n
    me = this % node_rank
    n = this % node_size
    allocate (this % heaps(n), this % connected(0:n))
    this % connected = .false.
    this % connected(me) = this % heaps(me + 1) % create(heap_at(this, bytes, me), bytes(me))
    if (me == 0 .and. bytes(n) > 0) &
      this % connected(n) = this % node_heap % create(heap_at(this, bytes, n), bytes(n))
    good = this % connected(me) .and. (me /= 0 .or. bytes(n) == 0 .or. this % connected(n))
    if (.not. good) call complain('a heap is too small: ask for 0.002 MB or more')
  end function heaps_made

  function heaps_joined(this, bytes) result(good)
    class(ioserver_context), intent(inout) :: this
    integer(c_int64_t), intent(in) :: bytes(0:)
    logical :: good
    integer :: n, i
    n = this % node_size
    do i = 0, n - 1
      if (.not. this % connected(i)) &
        this % connected(i) = this % heaps(i + 1) % clone(heap_at(this, bytes, i), bytes(i))
    end do
    if (bytes(n) > 0 .and. .not. this % connected(n)) &
      this % connected(n) = this % node_heap % clone(heap_at(this, bytes, n), bytes(n))
    good = all(this % connected(:n - 1)) .and. (bytes(n) == 0 .or. this % connected(n))
    if (.not. good) &
        call complain('a heap has no room for all processes of its node: make the heaps larger')
  end function heaps_joined

  ! Undoes what init has done so far.
  subroutine leave(this)
    class(ioserver_context), intent(inout) :: this
    logical :: done
    integer :: i
    if (allocated(this % connected)) then
      do i = 0, this % node_size - 1
        if (this % connected(i)) done = this % heaps(i + 1) % disconnect()
      end do
      if (this % connected(this % node_size)) done = this % node_heap % disconnect()
      deallocate (this % heaps, this % connected)
    end if
    call node_segment_leave(this % memory, this % segment % bytes)
    this % memory = c_null_ptr
    this % segment = segment_record()
    call comm_free(this % role_comm)
    call comm_free(this % node_comm)
    call comm_free(this % global_comm)
    this % num_model = 0
    this % node_rank = -1
    this % node_size = 0
  end subroutine leave

  subroutine comm_free(comm)
    type(MPI_Comm), intent(inout) :: comm
    if (comm /= MPI_COMM_NULL) call MPI_Comm_free(comm)
  end subroutine comm_free
end module ioserver_context_module
