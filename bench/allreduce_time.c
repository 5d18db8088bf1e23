/* Seconds of one MPI_Allreduce over floats: the median of many. For bench/processes.py.
 *   mpicc -O2 allreduce_time.c -o allreduce_time && mpirun -np 2 ./allreduce_time BYTES */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

enum { tries = 21 };

static int by_size(const void* a, const void* b) {
  const double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

int main(int argc, char** argv) {
  double seconds[tries];
  int rank = 0;
  const long bytes = argc == 2 ? atol(argv[1]) : 0;
  const int count = (int)(bytes / (long)sizeof(float));
  float* values = count > 0 ? calloc((size_t)count, sizeof(float)) : NULL;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  if (!values) {
    if (rank == 0) fprintf(stderr, "allreduce_time: expected a number of bytes, 4 or more\n");
    MPI_Finalize();
    return 2;
  }
  for (int i = 0; i < tries; ++i) {
    MPI_Barrier(MPI_COMM_WORLD);
    const double began = MPI_Wtime();
    MPI_Allreduce(MPI_IN_PLACE, values, count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    seconds[i] = MPI_Wtime() - began;
  }
  qsort(seconds, tries, sizeof seconds[0], by_size);
  if (rank == 0) printf("%.9f\n", seconds[tries / 2]);
  free(values);
  MPI_Finalize();
  return 0;
}
