/* A plugin of another version (OTHER_INTERFACE) or, without it, of the first, which had no function to ask.
 * Its open() must not be called: it would fill another struct than the program's. */
#include <stdlib.h>

#ifdef OTHER_INTERFACE
int retort_mpi_interface(void) {
  return OTHER_INTERFACE;
}
#endif

int retort_mpi_open(void* mpi, char* message, unsigned long message_bytes) {
  (void)mpi, (void)message, (void)message_bytes;
  abort();
}
