#include "cli/making.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/cli.h"
#include "codegen/ptx/emit.h"
#include "codegen/x86/compile.h"

namespace rose::cli {

double Stopwatch::lap() {
  auto now = std::chrono::steady_clock::now();
  double seconds = std::chrono::duration<double>(now - start_).count();
  start_ = now;
  return seconds;
}

Made make(const kernels::CatalogEntry& entry, const ir::Target& target, std::string_view spec) {
  Made made;
  Stopwatch watch;
  made.kernel = entry.record(target, spec);
  made.times.record = watch.lap();
  ir::optimize(made.kernel);
  made.times.optimize = watch.lap();
  ir::verify(made.kernel);
  made.times.verify = watch.lap();
  made.code = target.is_gpu() ? codegen::ptx::emit(made.kernel) : codegen::x86::compile(made.kernel);
  made.times.emit = watch.lap();
  return made;
}

std::vector<ir::Target> standard_targets() {
  std::vector<ir::Target> targets;
  for (const char* name : {"sm_90a", "sm_100a", "sm_103a", "x86", "x86:avx2"}) {
    ir::Target target = ir::parse_target(name);
    if (std::find(targets.begin(), targets.end(), target) == targets.end()) targets.push_back(target);
  }
  return targets;
}

ir::Target target_named(const std::string& name) {
  try {
    return ir::parse_target(name);
  } catch (const ir::IrError& error) {
    throw CliError(error.what());
  }
}

std::vector<const kernels::CatalogEntry*> entries_named(const std::vector<std::string>& names) {
  std::vector<const kernels::CatalogEntry*> entries;
  for (const auto& name : names) entries.push_back(&kernels::catalog_entry(name));
  if (names.empty())
    for (const auto& entry : kernels::catalog()) entries.push_back(&entry);
  return entries;
}

}  // namespace rose::cli
