#include "cli/cli.h"

int main(int argc, char** argv) { return rose::cli::run(argc, argv, ROSE_VERSION); }
