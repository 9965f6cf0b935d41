// A slow network for bench/scale_check.py: preloaded into ranks, it lets MPI_Iprobe see a message no earlier than
// SLOPEWISE_LATENCY seconds after it has come.
#include <mpi.h>
#include <stdlib.h>

enum { kMostRanks = 256 };
static double came[kMostRanks];  // when, of each rank's next message; 0: it has not

int MPI_Iprobe(int source, int tag, MPI_Comm comm, int* flag, MPI_Status* status) {
  int size = 0;
  PMPI_Comm_size(comm, &size);
  for (int rank = 0; rank < size && rank < kMostRanks; ++rank) {
    int there = 0;
    if (came[rank] == 0) PMPI_Iprobe(rank, tag, comm, &there, MPI_STATUS_IGNORE);
    if (there) came[rank] = PMPI_Wtime();
  }
  const char* latency = getenv("SLOPEWISE_LATENCY");
  *flag = 0;
  if (came[source] == 0 || PMPI_Wtime() - came[source] < (latency ? atof(latency) : 0)) return MPI_SUCCESS;
  return PMPI_Iprobe(source, tag, comm, flag, status);
}

int MPI_Irecv(void* buffer, int count, MPI_Datatype type, int source, int tag, MPI_Comm comm, MPI_Request* request) {
  came[source] = 0;
  return PMPI_Irecv(buffer, count, type, source, tag, comm, request);
}
