// The program's entry; all of it is a library (program.h).
#include "cli/program.h"

int main(int count, char** arguments) {
  return retort::main(count, arguments);
}
