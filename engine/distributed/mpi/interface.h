/* What a plugin of MPI offers: plain C, so that one source serves every MPI, and a site builds it alone for its own:
 *   c++ -shared -fPIC -I. engine/distributed/mpi/plugin.cpp $(mpicxx --showme:compile --showme:link) -o libretort_mpi_site.so
 * and names it in RETORT_MPI_PLUGIN. */
#ifndef RETORT_MPI_INTERFACE_H
#define RETORT_MPI_INTERFACE_H

#define RETORT_MPI_INTERFACE 3

#ifdef __cplusplus
extern "C" {
#endif

typedef struct RetortMpiMessage {
  int rank;
  void* data;
  unsigned long long bytes;
} RetortMpiMessage;

/* Results of exchange() and all_sum(): 0, or what went wrong. */
enum { RETORT_MPI_DONE = 0, RETORT_MPI_SILENT = 1, RETORT_MPI_FAILED = 2 };

typedef struct RetortMpi {
  int rank, size;
  char library[128]; /* "Open MPI v4.1.4" */
  /* Sends and receives all messages. SILENT: they took longer than `seconds`, *silent is a rank that it waits
   * for. */
  int (*exchange)(const RetortMpiMessage* sends, int send_count, const RetortMpiMessage* receives, int receive_count,
                  double seconds, int* silent);
  /* MPI_Allreduce: count numbers of `bytes` (4: float, 8: double) become their sums over all ranks. SILENT:
   * it took longer than `seconds`; *silent is -1, nobody knows whom it waits for. */
  int (*all_sum)(void* values, unsigned long long count, int bytes, double seconds, int* silent);
  void (*close)(void);      /* all ranks together */
  void (*abort)(int code);  /* ends all processes of the run */
} RetortMpi;

/* The two names that a plugin has to have. The number it was built with, asked before anything is handed to
 * it: another number's open() would fill another struct. */
int retort_mpi_interface(void);
/* Starts MPI. 0, or another number and the reason in `message`. */
int retort_mpi_open(RetortMpi* mpi, char* message, unsigned long message_bytes);

#ifdef __cplusplus
}
#endif
#endif
