#include "cli/measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <thread>

#include "cli/making.h"
#include "dsl/control.h"
#include "dsl/fragment.h"
#include "kernels/catalog.h"
#include "kernels/launch.h"

namespace rose::cli {
namespace {

constexpr int kSamples = 15;
constexpr double kGpuSample = 5e-3, kX86Sample = 20e-3;  // seconds that one sample lasts at least
constexpr int kMostLaunches = 1000;                      // of one sample
constexpr size_t kGpuBuffer = size_t{1} << 30,
                 kX86Buffer = size_t{256} << 20;  // bytes, several times any cache

bool on_gpu(runtime::Context& context) {
  return context.properties().kind == runtime::DeviceProperties::Kind::kCuda;
}

// Seconds between two events around `work`, or on the clock where the stream is the calling thread.
double timed(runtime::Context& context, const std::function<void()>& work) {
  runtime::Stream& stream = context.stream();
  if (!on_gpu(context)) {
    Stopwatch watch;
    work();
    stream.synchronize();
    return watch.lap();
  }
  auto start = context.device().create_event(), end = context.device().create_event();
  stream.record(*start);
  work();
  stream.record(*end);
  stream.synchronize();
  return end->seconds_since(*start);
}

int launches_for(double sample, double one) {
  return static_cast<int>(
      std::clamp(std::ceil(sample / std::max(one, 1e-9)), 1.0, static_cast<double>(kMostLaunches)));
}

// Splits `bytes` over threads; each works on its own part.
void on_threads(int threads, size_t bytes, const std::function<void(size_t begin, size_t count)>& work) {
  size_t part = bytes / static_cast<size_t>(threads);
  std::vector<std::jthread> helpers;
  for (int i = 1; i < threads; ++i)
    helpers.emplace_back([&, i] { work(part * static_cast<size_t>(i), part); });
  work(0, part);
}

uint64_t sum_words(const uint64_t* words, size_t count) {
  uint64_t sums[8] = {};
  for (size_t i = 0; i + 8 <= count; i += 8)
    for (size_t k = 0; k < 8; ++k) sums[k] += words[i + k];
  uint64_t total = 0;
  for (uint64_t s : sums) total += s;
  return total;
}

MemorySpeed measure_host_memory(int threads) {
  std::vector<char> from(kX86Buffer, 1), to(kX86Buffer, 2);
  volatile uint64_t keep = 0;
  double copy = median_seconds_of_call(
      [&] {
        on_threads(threads, kX86Buffer,
                   [&](size_t begin, size_t count) { std::memcpy(&to[begin], &from[begin], count); });
      },
      7, 0.1);
  double read = median_seconds_of_call(
      [&] {
        on_threads(threads, kX86Buffer, [&](size_t begin, size_t count) {
          keep = sum_words(reinterpret_cast<const uint64_t*>(&from[begin]), count / 8);
        });
      },
      7, 0.1);
  return {2.0 * kX86Buffer / copy, kX86Buffer / read};
}

constexpr size_t kGpuRead = size_t{8} << 30;
constexpr int64_t kReadRow = 16384;  // f32 values that one block adds up

ir::Kernel read_memory(const ir::Target& target) {
  using namespace dsl;
  Launch launch{.target = target, .threads = kernels::row_threads(target, kReadRow, f32, 512)};
  return record("read_memory", launch, [&](Block& block) {
    auto x = block.input("x", f32, shape(dynamic("rows"), kReadRow));
    auto out = block.output("out", f32, shape(dynamic("rows")));
    auto group = row_group(block, block.dimension("rows"));
    auto sum = row_sum(block, load(x(group.row), row_layout(block, group, kReadRow, 4)));
    IF (block.thread() == 0) {
      store_at(out, group.row, sum);
    }
  });
}

// A large buffer with the content of `from` again and again, or nothing where the device has no room for it:
// what a cache of 60 MB keeps from one pass to the next must not count.
runtime::Buffer large_copy(runtime::Context& context, const runtime::Buffer& from) {
  runtime::Buffer large;
  try {
    large = context.device().allocate_dedicated(kGpuRead);
  } catch (const runtime::DeviceError& error) {
    if (error.kind() != runtime::ErrorKind::kOutOfMemory) throw;
    return large;
  }
  for (size_t at = 0; at < kGpuRead; at += from.bytes())
    context.stream().copy(large.pointer() + static_cast<int64_t>(at), from, from.bytes());
  return large;
}

double measure_gpu_read(runtime::Context& context, const runtime::Buffer& small) {
  const auto large = large_copy(context, small);
  const auto& from = large ? large : small;
  const auto& program = kernels::program(context, "read_memory", "", read_memory);
  const auto rows = static_cast<int64_t>(from.bytes() / 4 / kReadRow);
  auto sums = context.device().allocate(static_cast<size_t>(rows) * 4);
  double seconds = median_seconds_on_device(context, [&](runtime::Stream& stream) {
    stream.launch(program, kernels::grid_of(rows), {from, rows, sums});
  });
  return static_cast<double>(rows * kReadRow * 4) / seconds;
}

}  // namespace

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  size_t middle = values.size() / 2;
  return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double median_seconds_of_call(const std::function<void()>& work, int samples, double least_seconds) {
  std::vector<double> seconds;
  double total = 0;
  while (static_cast<int>(seconds.size()) < samples || total < least_seconds) {
    Stopwatch watch;
    work();
    seconds.push_back(watch.lap());
    total += seconds.back();
  }
  return median(std::move(seconds));
}

double median_seconds_on_device(runtime::Context& context,
                                const std::function<void(runtime::Stream&)>& launch) {
  runtime::Stream& stream = context.stream();
  launch(stream);  // compiles, loads and touches all memory
  stream.synchronize();
  double one = timed(context, [&] { launch(stream); });
  int launches = launches_for(on_gpu(context) ? kGpuSample : kX86Sample, one);
  std::vector<double> seconds;
  if (!on_gpu(context)) {
    for (int i = 0; i < kSamples; ++i)
      seconds.push_back(timed(context,
                              [&] {
                                for (int n = 0; n < launches; ++n) launch(stream);
                              }) /
                        launches);
    return median(std::move(seconds));
  }
  stream.begin_capture();
  for (int n = 0; n < launches; ++n) launch(stream);
  auto graph = stream.end_capture();
  stream.launch(*graph);
  for (int i = 0; i < kSamples; ++i)
    seconds.push_back(timed(context, [&] { stream.launch(*graph); }) / launches);
  return median(std::move(seconds));
}

MemorySpeed measure_memory(runtime::Context& context) {
  if (!on_gpu(context)) return measure_host_memory(std::max(1, context.properties().processors));
  // Queued one by one: captured in a graph, the driver gives copies to the copy engines, which reach two
  // thirds of what the multiprocessors do (measured on an H200: 2.72 against 4.22 TB/s).
  auto from = kernels::random_buffer(context, ir::bf16, kGpuBuffer / 2, 1),
       to = context.device().allocate(kGpuBuffer);
  runtime::Stream& stream = context.stream();
  std::vector<double> samples;
  constexpr int kCopies = 10;
  for (int i = 0; i <= kSamples; ++i)
    samples.push_back(timed(context,
                            [&] {
                              for (int n = 0; n < kCopies; ++n) stream.copy(to, from, kGpuBuffer);
                            }) /
                      kCopies);
  double seconds = median({samples.begin() + 1, samples.end()});  // the first one warms up
  return {2.0 * kGpuBuffer / seconds, measure_gpu_read(context, from)};
}

double measure_matrix(runtime::Context& context, const std::string& weights, bool exact, std::string& what) {
  const int64_t m = on_gpu(context) ? 8192 : 1024, n = on_gpu(context) ? 8192 : 2048;
  const std::string spec = on_gpu(context) ? fmt::format("n={},k={}", n, n)
                                           : fmt::format("weights={},dtype=f32,out=f32,n={},k={},exact={}",
                                                         weights, n, n, exact ? 1 : 0);
  auto product = kernels::catalog_entry(on_gpu(context) ? "gemm" : "gemm_x86").make_case(context, spec, m);
  what = fmt::format("{} {}x{}x{}", on_gpu(context) ? "bf16" : weights + (exact ? " exact" : ""), m, n, n);
  return product.operations / median_seconds_on_device(context, product.launch);
}

}  // namespace rose::cli
