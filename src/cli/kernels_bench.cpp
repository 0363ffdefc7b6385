// `rose kernels bench`: how long kernels take to make, to find and to run.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/bench.h"
#include "cli/cli.h"
#include "cli/making.h"
#include "cli/table.h"

namespace rose::cli {
namespace {

struct Options {
  std::vector<std::string> names;
  std::string spec, device = "auto", part = "all";
  int64_t rows = 0;
  int threads = 0;
  bool json = false;

  bool wants(const char* what) const { return part == "all" || part == what; }
};

struct Results {
  std::string machine;
  std::vector<CompileRow> compile;
  std::vector<CacheRow> cache;
  MemorySpeed memory;
  double cache_bytes = 0;  // of the device's last cache
  std::vector<DeviceRow> device;
};

std::vector<Subject> subjects_of(const Options& options) {
  if (!options.spec.empty() && options.names.size() != 1)
    throw CliError("--spec belongs to one kernel: name it");
  std::vector<Subject> subjects;
  for (const auto* entry : entries_named(options.names)) {
    if (!options.spec.empty()) entry->canonical(options.spec);  // a bad Spec is reported before anything runs
    subjects.push_back(
        {entry, options.spec.empty() ? entry->standard : std::vector<std::string>{options.spec}});
  }
  return subjects;
}

Results measure(const Options& options) {
  auto subjects = subjects_of(options);
  runtime::ContextOptions device;
  device.device = options.device, device.x86.threads = options.threads;
  auto context = runtime::open_context(std::move(device));
  const auto& properties = context->properties();
  Results results;
  results.machine =
      fmt::format("{}, {}, {} {}", properties.name, ir::to_string(runtime::target_of(properties)),
                  properties.processors, runtime::target_of(properties).is_gpu() ? "processors" : "threads");
  if (options.wants("compile")) results.compile = bench_compiling(subjects);
  if (options.wants("cache")) results.cache = bench_cache(subjects, options.device);
  if (options.wants("device")) {
    results.memory = measure_memory(*context);
    results.cache_bytes = static_cast<double>(properties.l2_bytes);
    results.device = bench_on_device(*context, subjects, options.rows);
  }
  return results;
}

std::string tenths(double value) { return fmt::format("{:.1f}", value); }

void print_tables(const Results& r) {
  fmt::print("{}\n", r.machine);
  if (!r.compile.empty()) {
    fmt::print("\nMaking a kernel (medians; emit is PTX text, or LLVM's machine code)\n");
    Table table(
        {"kernel", "spec", "target", ">instructions", ">record", ">optimise", ">verify", ">emit", ">total"});
    for (const auto& c : r.compile)
      table.add({c.kernel, c.spec, c.target, std::to_string(c.instructions), seconds_text(c.record),
                 seconds_text(c.optimize), seconds_text(c.verify), seconds_text(c.emit),
                 seconds_text(c.total)});
    fmt::print("{}", table.text());
  }
  if (!r.cache.empty()) {
    fmt::print("\nFrom a Spec to a loaded program\n");
    Table table({"kernel", "spec", ">built", ">from disk", ">in process"});
    for (const auto& c : r.cache)
      table.add({c.kernel, c.spec, seconds_text(c.build), seconds_text(c.disk), seconds_text(c.hit)});
    fmt::print("{}", table.text());
  }
  if (r.memory.copy > 0) {
    fmt::print("\nRunning (memory in this run: copy {:.1f} GB/s{})\n", r.memory.copy / 1e9,
               r.memory.read > 0 ? fmt::format(", read {:.1f} GB/s", r.memory.read / 1e9) : "");
    Table table({"kernel", "spec", ">rows", ">time", ">GB/s", ">% of copy", ">TFLOP/s", ""});
    for (const auto& d : r.device)
      table.add({d.kernel, d.spec, std::to_string(d.rows), seconds_text(d.seconds),
                 tenths(d.bytes / d.seconds / 1e9), tenths(100 * d.bytes / d.seconds / r.memory.copy),
                 d.operations > 0 ? fmt::format("{:.3g}", d.operations / d.seconds / 1e12) : "-",
                 d.bytes < r.cache_bytes ? "in cache" : ""});
    fmt::print("{}",
               r.device.empty() ? "none of these kernels has a benchmark for this device\n" : table.text());
  }
}

void print_json(const Results& r) {
  nlohmann::ordered_json all{{"machine", r.machine}};
  for (const auto& c : r.compile)
    all["compile"].push_back({{"kernel", c.kernel},
                              {"spec", c.spec},
                              {"target", c.target},
                              {"instructions", c.instructions},
                              {"record_seconds", c.record},
                              {"optimize_seconds", c.optimize},
                              {"verify_seconds", c.verify},
                              {"emit_seconds", c.emit},
                              {"total_seconds", c.total}});
  for (const auto& c : r.cache)
    all["cache"].push_back({{"kernel", c.kernel},
                            {"spec", c.spec},
                            {"build_seconds", c.build},
                            {"disk_seconds", c.disk},
                            {"hit_seconds", c.hit}});
  if (r.memory.copy > 0)
    all["memory"] = {{"copy_bytes_per_second", r.memory.copy}, {"read_bytes_per_second", r.memory.read}};
  for (const auto& d : r.device)
    all["device"].push_back({{"kernel", d.kernel},
                             {"spec", d.spec},
                             {"rows", d.rows},
                             {"seconds", d.seconds},
                             {"bytes", d.bytes},
                             {"operations", d.operations}});
  fmt::print("{}\n", all.dump(2));
}

}  // namespace

void add_kernels_bench(CLI::App& parent, Action& action) {
  CLI::App* command = parent.add_subcommand("bench", "Measure kernels: making, finding and running them");
  auto options = std::make_shared<Options>();
  command->add_option("NAME", options->names, "Kernels to measure; all when none is named");
  command->add_option("--spec", options->spec,
                      "Measure this Spec instead of the standard ones: key=value,key=value");
  command
      ->add_option("--rows", options->rows,
                   "Rows (of a matrix product: M); default: the kernel's own, an eighth of it on x86")
      ->check(CLI::PositiveNumber);
  command->add_option("--device", options->device, "auto, cuda, cuda:N or x86")->capture_default_str();
  command->add_option("--threads", options->threads, "Threads of the x86 device; default: all processors")
      ->check(CLI::Range(1, kMostThreads));
  command->add_option("--part", options->part, "compile, cache, device or all")
      ->check(CLI::IsMember({"all", "compile", "cache", "device"}))
      ->capture_default_str();
  command->add_flag("--json", options->json, "Print JSON (seconds and bytes)");
  command->footer(
      "GB/s counts the bytes that any implementation must move: inputs once, outputs once. `% of copy` "
      "compares\n"
      "them with a plain copy of memory measured in the same run; `in cache` marks problems so small that "
      "they\n"
      "never leave the device's last cache. Run it on a quiet machine.");
  command->callback([&action, options] {
    action = [options] {
      Results results = measure(*options);
      if (options->json)
        print_json(results);
      else
        print_tables(results);
      return kDone;
    };
  });
}

}  // namespace rose::cli
