// The measurements behind `rose kernels bench`, each a list of rows; the command prints them.
#pragma once

#include <string>
#include <vector>

#include "cli/measure.h"
#include "kernels/catalog.h"

namespace rose::cli {

// One kernel with the Specs that are measured.
struct Subject {
  const kernels::CatalogEntry* entry;
  std::vector<std::string> specs;
};

// Medians over repetitions of making one kernel, in seconds.
struct CompileRow {
  std::string kernel, spec, target;
  double record = 0, optimize = 0, verify = 0, emit = 0, total = 0;
  int64_t instructions = 0;
};
// For the first GPU target of each kernel, and for x86 of this machine.
std::vector<CompileRow> bench_compiling(const std::vector<Subject>& subjects);

// Ways from a Spec to a loaded program, in seconds.
struct CacheRow {
  std::string kernel, spec;
  double build = 0;  // nothing cached: record, optimise, verify, generate, publish, load
  double disk = 0;   // a new process finds the file: read, check, load
  double hit = 0;    // this process has it: Spec to key to program
};
// On the context's device, with a cache folder of its own that is removed afterwards.
std::vector<CacheRow> bench_cache(const std::vector<Subject>& subjects, const std::string& device);

struct DeviceRow {
  std::string kernel, spec;
  int64_t rows = 0;
  double seconds = 0;                // of one launch
  double bytes = 0, operations = 0;  // that the problem must move and do
};
// rows: of every problem; 0: the kernel's own choice, an eighth of it on x86.
std::vector<DeviceRow> bench_on_device(runtime::Context& context, const std::vector<Subject>& subjects,
                                       int64_t rows);

}  // namespace rose::cli
