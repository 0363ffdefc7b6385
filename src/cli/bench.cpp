#include "cli/bench.h"

#include <stdlib.h>

#include <algorithm>
#include <filesystem>

#include "cli/cli.h"
#include "cli/making.h"

namespace rose::cli {
namespace fs = std::filesystem;
namespace {

constexpr int kRepeats = 9;          // of a measurement whose median counts
constexpr int kHits = 2000;          // look-ups of one sample of cache hits
constexpr int64_t kX86Fraction = 8;  // of the rows that a GPU is given

CompileRow measure_making(const kernels::CatalogEntry& entry, const ir::Target& target,
                          const std::string& spec) {
  std::vector<double> record, optimize, verify, emit, total;
  CompileRow row{entry.name, spec, ir::to_string(target)};
  make(entry, target, spec);  // first use of tables and of LLVM
  for (int i = 0; i < kRepeats; ++i) {
    Made made = make(entry, target, spec);
    record.push_back(made.times.record), optimize.push_back(made.times.optimize),
        verify.push_back(made.times.verify);
    emit.push_back(made.times.emit), total.push_back(made.times.total());
    row.instructions = ir::instruction_count(made.kernel.body);
  }
  row.record = median(record), row.optimize = median(optimize), row.verify = median(verify);
  row.emit = median(emit), row.total = median(total);
  return row;
}

// A cache folder that lives as long as this.
class Folder {
 public:
  Folder() : path_((fs::temp_directory_path() / "rose-bench-XXXXXX").string()) {
    if (!::mkdtemp(path_.data()))
      throw CliError("cannot make a folder in " + fs::temp_directory_path().string(), kFailed);
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::unique_ptr<runtime::Context> open_with_cache(const std::string& device, const std::string& folder) {
  runtime::ContextOptions options;
  options.device = device, options.log = runtime::log_to_stderr(runtime::LogLevel::kWarning);
  options.cache.folder = folder;
  return runtime::open_context(std::move(options));
}

const runtime::Program& look_up(runtime::Context& context, const kernels::CatalogEntry& entry,
                                const std::string& spec) {
  return kernels::program(context, entry.name, spec,
                          [&](const ir::Target& target) { return entry.record(target, spec); });
}

}  // namespace

std::vector<CompileRow> bench_compiling(const std::vector<Subject>& subjects) {
  std::vector<CompileRow> rows;
  for (const auto& [entry, specs] : subjects)
    for (const auto& spec : specs) {
      for (const char* name : {"sm_90a", "sm_100a", "sm_103a"})
        if (ir::Target target = ir::parse_target(name); entry->runs_on(target)) {
          rows.push_back(measure_making(*entry, target, spec));
          break;
        }
      if (ir::Target x86 = ir::parse_target("x86"); entry->runs_on(x86))
        rows.push_back(measure_making(*entry, x86, spec));
    }
  return rows;
}

std::vector<CacheRow> bench_cache(const std::vector<Subject>& subjects, const std::string& device) {
  std::vector<CacheRow> rows;
  for (const auto& [entry, specs] : subjects) {
    Folder folder;
    auto context = open_with_cache(device, folder.path());
    if (!entry->runs_on(runtime::target_of(context->properties()))) continue;
    std::string spec = entry->canonical(specs.front());
    CacheRow row{entry->name, specs.front()};
    Stopwatch watch;
    look_up(*context, *entry, spec);
    row.build = watch.lap();
    row.hit = median_seconds_of_call(
                  [&] {
                    for (int i = 0; i < kHits; ++i) look_up(*context, *entry, spec);
                  },
                  kRepeats, 0) /
              kHits;
    std::vector<double> disk;
    for (int i = 0; i < kRepeats; ++i) {
      auto other = open_with_cache(device, folder.path());
      watch.lap();
      look_up(*other, *entry, spec);
      disk.push_back(watch.lap());
      if (other->cache().counters().disk_hits != 1)
        throw CliError("the cache folder did not keep " + entry->name, kFailed);
    }
    row.disk = median(disk);
    rows.push_back(row);
  }
  return rows;
}

std::vector<DeviceRow> bench_on_device(runtime::Context& context, const std::vector<Subject>& subjects,
                                       int64_t rows) {
  std::vector<DeviceRow> result;
  ir::Target target = runtime::target_of(context.properties());
  for (const auto& [entry, specs] : subjects) {
    if (!entry->make_case || !entry->runs_on(target)) continue;
    int64_t count = rows > 0          ? rows
                    : target.is_gpu() ? entry->bench_rows
                                      : std::max<int64_t>(1, entry->bench_rows / kX86Fraction);
    for (const auto& spec : specs) {
      auto problem = entry->make_case(context, spec, count);
      double seconds = median_seconds_on_device(context, problem.launch);
      result.push_back({entry->name, spec, count, seconds, problem.bytes, problem.operations});
    }
  }
  return result;
}

}  // namespace rose::cli
