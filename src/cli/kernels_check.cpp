// `rose kernels check`: every kernel, every standard Spec, every target, down to machine code.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/assembler.h"
#include "cli/cli.h"
#include "cli/making.h"
#include "cli/process.h"
#include "cli/table.h"

namespace rose::cli {
namespace {

struct Options {
  std::vector<std::string> names, targets;
  std::string spec;
  int threads = 0;
  bool json = false, quiet = false, assemble = true;
};

// One kernel for one Spec and target, and what came of it.
struct Job {
  const kernels::CatalogEntry* entry;
  std::string spec;
  ir::Target target;

  int64_t instructions = 0, shared_bytes = 0, code_bytes = 0;
  int registers = 0;
  StepTimes times;
  double assemble_seconds = 0;
  std::vector<std::string> problems;
};

void check(Job& job, bool assemble) {
  try {
    Made made = make(*job.entry, job.target, job.spec);
    job.times = made.times;
    job.instructions = ir::instruction_count(made.kernel.body);
    job.shared_bytes = made.kernel.shared_bytes;
    if (!job.target.is_gpu()) {
      job.code_bytes = machine_code_bytes(made.code);
    } else if (assemble) {
      Stopwatch watch;
      Assembly assembly = assemble_ptx(made.code, ir::to_string(job.target));
      job.assemble_seconds = watch.lap();
      job.registers = assembly.registers;
      job.shared_bytes += assembly.shared_bytes;
      job.code_bytes = assembly.code_bytes;
      job.problems = std::move(assembly.problems);
    }
  } catch (const std::exception& error) {
    job.problems.push_back(error.what());
  }
}

std::vector<Job> plan(const Options& options) {
  auto entries = entries_named(options.names);
  if (!options.spec.empty() && options.names.size() != 1)
    throw CliError("--spec belongs to one kernel: name it");
  std::vector<ir::Target> targets;
  for (const auto& name : options.targets) targets.push_back(target_named(name));
  if (targets.empty()) targets = standard_targets();
  std::vector<Job> jobs;
  for (const auto* entry : entries)
    for (const auto& spec : options.spec.empty() ? entry->standard : std::vector<std::string>{options.spec})
      for (const auto& target : targets)
        if (entry->runs_on(target)) jobs.push_back({entry, spec, target});
  if (jobs.empty()) throw CliError("none of these kernels exists on any of these targets");
  return jobs;
}

void run_all(std::vector<Job>& jobs, const Options& options) {
  int threads = options.threads > 0 ? options.threads
                                    : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  std::atomic<size_t> next{0};
  auto work = [&] {
    for (size_t i; (i = next.fetch_add(1)) < jobs.size();) check(jobs[i], options.assemble);
  };
  std::vector<std::jthread> helpers;
  for (int i = 1; i < threads; ++i) helpers.emplace_back(work);
  work();
}

void print_json(const std::vector<Job>& jobs) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const auto& job : jobs)
    all.push_back({{"kernel", job.entry->name},
                   {"spec", job.spec},
                   {"target", ir::to_string(job.target)},
                   {"ok", job.problems.empty()},
                   {"problems", job.problems},
                   {"instructions", job.instructions},
                   {"registers", job.registers},
                   {"shared_bytes", job.shared_bytes},
                   {"code_bytes", job.code_bytes},
                   {"seconds",
                    {{"record", job.times.record},
                     {"optimize", job.times.optimize},
                     {"verify", job.times.verify},
                     {"emit", job.times.emit},
                     {"assemble", job.assemble_seconds}}}});
  fmt::print("{}\n", all.dump(2));
}

void print_table(const std::vector<Job>& jobs) {
  Table table({"kernel", "spec", "target", ">instructions", ">registers", ">shared", ">code", ">record",
               ">optimise", ">verify", ">emit", ">assemble", ""});
  for (const auto& job : jobs) {
    bool gpu = job.target.is_gpu();
    table.add({job.entry->name, job.spec, ir::to_string(job.target), std::to_string(job.instructions),
               gpu && job.registers ? std::to_string(job.registers) : "-",
               bytes_text(static_cast<double>(job.shared_bytes)),
               job.code_bytes ? bytes_text(static_cast<double>(job.code_bytes)) : "-",
               seconds_text(job.times.record), seconds_text(job.times.optimize),
               seconds_text(job.times.verify), seconds_text(job.times.emit),
               job.assemble_seconds > 0 ? seconds_text(job.assemble_seconds) : "-",
               job.problems.empty() ? "ok" : "FAILED"});
  }
  fmt::print("{}", table.text());
}

int check_all(const Options& options) {
  auto jobs = plan(options);
  bool gpu = std::any_of(jobs.begin(), jobs.end(), [](const Job& job) { return job.target.is_gpu(); });
  if (gpu && options.assemble && !have_ptxas())
    throw CliError(
        "ptxas, NVIDIA's assembler, was not found, so GPU kernels cannot be checked to the end. Install it "
        "with\n"
        "  python3 -m venv .venv && .venv/bin/pip install nvidia-cuda-nvcc\n"
        "or set ROSE_PTXAS to its path. Without it: --target x86 checks x86 alone, --no-assemble stops at "
        "PTX.",
        kFailed);
  Stopwatch watch;
  run_all(jobs, options);

  if (options.json)
    print_json(jobs);
  else if (!options.quiet)
    print_table(jobs);
  int failed = 0;
  for (const auto& job : jobs) {
    if (job.problems.empty()) continue;
    ++failed;
    for (const auto& problem : job.problems)
      tell(fmt::format("{} {} {}: {}\n", job.entry->name, job.spec, ir::to_string(job.target), problem));
  }
  if (!options.json)
    fmt::print("{} of {} kernels are clean, {}\n", jobs.size() - static_cast<size_t>(failed), jobs.size(),
               seconds_text(watch.lap()));
  return failed ? kFailed : kDone;
}

}  // namespace

void add_kernels_check(CLI::App& parent, Action& action) {
  CLI::App* command =
      parent.add_subcommand("check", "Make kernels for their targets and look for faults in the code");
  auto options = std::make_shared<Options>();
  command->add_option("NAME", options->names, "Kernels to check; all when none is named");
  command->add_option("--target", options->targets,
                      "Check these targets only; default: sm_90a, sm_100a, sm_103a, x86, x86:avx2");
  command->add_option("--spec", options->spec,
                      "Check this Spec instead of the standard ones: key=value,key=value");
  command
      ->add_option("--threads", options->threads, "Kernels made at the same time; default: one a processor")
      ->check(CLI::Range(1, kMostThreads));
  command->add_flag("!--no-assemble", options->assemble, "Stop GPU kernels at PTX text, without ptxas");
  command->add_flag("--quiet", options->quiet, "Print the faults and the closing line only");
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "Each kernel is recorded for each of its standard Specs and targets, optimised, verified, turned into "
      "code\n"
      "and assembled. Spills, a stack frame and ptxas messages C75xx (lost performance) are failures: exit "
      "code 1.\n"
      "The times are of one run while other kernels are made; `rose kernels bench` measures.");
  command->callback([&action, options] { action = [options] { return check_all(*options); }; });
}

}  // namespace rose::cli
