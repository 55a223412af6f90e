! The heap that the context made for this process: mpirun -n 2 context.
! SPDX-License-Identifier: Apache-2.0
program context_example
  use mpi_f08
  use ioserver_context_module
  use shmem_heap_module
  implicit none
  type(ioserver_context) :: context
  type(shmem_heap) :: h
  type(shmem_heap), pointer :: heaps(:)
  type(block_meta) :: meta
  real(4), pointer :: pressure(:,:)
  integer(HEAP_ELEMENT) :: offset

  call MPI_Init()
  if (.not. context % init(ioserver_input_parameters(model_heap_size_mb=10.0))) &
      call MPI_Abort(MPI_COMM_WORLD, 1)
  if (context % is_model()) then
    h = context % get_local_heap()
    meta = h % allocate(pressure, [-10, -10], [10, 10])
    if (meta % get_status() /= SHMEM_HEAP_ALLOC_SUCCESS) call MPI_Abort(MPI_COMM_WORLD, 1)
    pressure = 1013.25
    call MPI_Send(meta % get_offset(), 1, MPI_INTEGER8, context % get_num_local_model(), 0, &
        context % get_node_comm())
  else if (context % get_node_rank() == context % get_num_local_model()) then
    call context % get_heap_list(heaps)
    call MPI_Recv(offset, 1, MPI_INTEGER8, 0, 0, context % get_node_comm(), MPI_STATUS_IGNORE)
    if (.not. heaps(1) % get_array(offset, pressure)) call MPI_Abort(MPI_COMM_WORLD, 1)
    print '(a, f8.2)', 'the server reads ', pressure(-10, 10)
    if (.not. heaps(1) % free(offset)) call MPI_Abort(MPI_COMM_WORLD, 1)
  end if
  call context % finalize()
  call MPI_Finalize()
end program context_example
