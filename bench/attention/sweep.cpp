// Times many Specs of kernels in one process, each on the problem of its catalog entry:
//
//   attention_sweep LIST     LIST: lines "KERNEL ROWS SPEC" (SPEC may be missing); "-": standard input
//
// "attention_sm90:256" stands for sequences of 256 tokens instead of one that has all rows.
// Prints a line each: kernel, rows, Spec, microseconds of a launch (median), TFLOP/s, GB/s; "failed: why" for
// what does not run. Programs are compiled by all threads before the first one runs. Launches stand in a
// graph, one after another.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <iostream>
#include <sstream>
#include <thread>

#include "kernels/attention/sm90_shape.h"

using namespace rose;
using namespace rose::kernels;

namespace {

constexpr int kSamples = 11;
constexpr double kSample = 4e-3;  // seconds

struct Line {
  std::string kernel, spec;
  int64_t rows = 0, length = 0;
};

std::vector<Line> read(std::istream& in) {
  std::vector<Line> lines;
  for (std::string text; std::getline(in, text);) {
    std::istringstream words(text);
    Line line;
    if (!(words >> line.kernel >> line.rows)) continue;
    words >> line.spec;
    if (auto colon = line.kernel.find(':'); colon != std::string::npos) {
      line.length = std::stoll(line.kernel.substr(colon + 1));
      line.kernel.resize(colon);
    }
    lines.push_back(line);
  }
  return lines;
}

void compile(runtime::Context& context, const std::vector<Line>& lines) {
  std::atomic<size_t> next = 0;
  std::vector<std::jthread> threads;
  for (unsigned t = 0; t < std::max(1u, std::thread::hardware_concurrency()); ++t)
    threads.emplace_back([&] {
      for (size_t i; (i = next++) < lines.size();) try {
          const auto& entry = catalog_entry(lines[i].kernel);
          program(context, entry.name, entry.canonical(lines[i].spec),
                  [&](const ir::Target& target) { return entry.record(target, lines[i].spec); });
        } catch (const std::exception&) {  // reported when its turn to run comes
        }
    });
}

double seconds(runtime::Context& context, const Case& problem) {
  auto& stream = context.stream();
  auto start = context.device().create_event(), end = context.device().create_event();
  auto between = [&](const std::function<void()>& work) {
    stream.record(*start);
    work();
    stream.record(*end);
    stream.synchronize();
    return end->seconds_since(*start);
  };
  problem.launch(stream);
  stream.synchronize();
  double one = between([&] { problem.launch(stream); });
  auto launches = std::clamp<int64_t>(static_cast<int64_t>(kSample / one), 1, 200);
  stream.begin_capture();
  for (int64_t i = 0; i < launches; ++i) problem.launch(stream);
  auto graph = stream.end_capture();
  stream.launch(*graph);
  std::vector<double> samples;
  for (int i = 0; i < kSamples; ++i)
    samples.push_back(between([&] { stream.launch(*graph); }) / static_cast<double>(launches));
  std::nth_element(samples.begin(), samples.begin() + kSamples / 2, samples.end());
  return samples[kSamples / 2];
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) return fmt::print(stderr, "attention_sweep LIST\n"), 2;
  std::ifstream file;
  std::string name = arguments[1];
  if (name != "-") file.open(name);
  auto lines = read(name == "-" ? std::cin : file);
  runtime::ContextOptions options;
  options.device = "cuda:0", options.cache.disk = false;
  auto context = runtime::open_context(std::move(options));
  fmt::print("{}\n", context->properties().name);
  compile(*context, lines);
  for (const Line& line : lines) try {
      Case problem = line.length ? attention_sm90_case(*context, parse_spec<AttentionSm90Spec>(line.spec),
                                                       line.rows, line.length)
                                 : catalog_entry(line.kernel).make_case(*context, line.spec, line.rows);
      double time = seconds(*context, problem);
      fmt::print("{:22} {:5} {:7} {:56} {:9.2f} us {:7.1f} TFLOP/s {:7.1f} GB/s\n", line.kernel, line.length,
                 line.rows, line.spec, time * 1e6, problem.operations / time / 1e12,
                 problem.bytes / time / 1e9);
      std::fflush(stdout);
    } catch (const std::exception& error) {
      fmt::print("{} {} {} failed: {}\n", line.kernel, line.rows, line.spec, error.what());
    }
}
