// Times Hopper products with cold weights, many in one process:
//
//   sweep_sm90 LIST          LIST: lines "KERNEL M SPEC", KERNEL one of gemm, gemm_decode, gemm_few,
//   gemm_sm90; "-":
//                            standard input
//   sweep_sm90 LIST --step   waits for a line on standard input before each measurement, so that a peer can
//   take turns
//
// Prints for each line: KERNEL, M, SPEC, median microseconds of a launch (or "failed: why"), separated by
// tabs. Launches stand in a graph one after the other; what they read lies in memory far apart, so that it
// does not come from the L2 cache.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <iostream>
#include <sstream>
#include <thread>

#include "kernels/gemm/sm90.h"
#include "kernels/gemm/sm90_decode.h"
#include "kernels/gemm/sm90_few.h"

using namespace rose;
using namespace rose::kernels;

namespace {

constexpr int64_t kPool = int64_t{3} << 30, kRandom = int64_t{64} << 20;  // bytes
constexpr int64_t kCold = int64_t{256} << 20;  // read between two uses of the same bytes
constexpr int kSamples = 7;
constexpr double kSample = 3e-3;  // seconds

struct Line {
  std::string kernel, spec, problem;
  int64_t m = 0;
};

// Memory that is dealt in pieces, filled with random numbers.
struct Pool {
  runtime::Buffer memory;
  Pool(runtime::Context& context, int64_t bytes)
      : memory(context.device().allocate_dedicated(static_cast<size_t>(bytes))) {
    auto random = random_buffer(context, ir::bf16, kRandom / 2, 1);
    for (int64_t at = 0; at < bytes; at += kRandom)
      context.stream().copy(memory.pointer() + at, random,
                            static_cast<size_t>(std::min(kRandom, bytes - at)));
    context.stream().synchronize();
  }
};

class Sweep {
 public:
  explicit Sweep(runtime::Context& context)
      : context_(context), weights_(context, kPool), a_(context, kPool), out_(context, kPool) {
    counters_ = context.device().allocate(1 << 20), workspace_ = context.device().allocate(256 << 20);
    context.stream().fill_words(counters_, 0, 1 << 20);
  }

  double seconds(const Line& line) {
    if (line.kernel == "gemm") {
      auto gemm = std::make_shared<Gemm>(context_, parse_spec<GemmSpec>(line.spec));
      gemm->prepare(line.m);
      return timed(gemm->spec(), line.m,
                   [&](const Gemm::Operands& o) { (*gemm)(context_.stream(), o, line.m); });
    }
    if (line.kernel == "gemm_few") {
      auto spec = parse_spec<GemmFewSpec>(line.spec);
      const auto& kernel = program(context_, "gemm_few", spec, gemm_few);
      return timed(spec, line.m, [&](const Gemm::Operands& o) {
        launch_gemm_few(context_, context_.stream(), spec, kernel, o, counters_, line.m);
      });
    }
    if (line.kernel == "gemm_decode") {
      auto spec = parse_spec<GemmDecodeSpec>(line.spec);
      const auto& kernel = program(context_, "gemm_decode", spec, gemm_decode);
      return timed(spec, line.m, [&](const Gemm::Operands& o) {
        launch_gemm_decode(context_, context_.stream(), spec, kernel, o, line.m);
      });
    }
    auto spec = parse_spec<GemmSm90Spec>(line.spec);
    const auto& kernel = program(context_, "gemm_sm90", spec, gemm_sm90);
    return timed(spec, line.m, [&](const Gemm::Operands& o) {
      launch_gemm_sm90(context_, context_.stream(), spec, kernel, o, line.m);
    });
  }

 private:
  double timed(const GemmSpec& spec, int64_t m, const std::function<void(const Gemm::Operands&)>& launch) {
    auto& stream = context_.stream();
    const int64_t weights = weight_bytes(spec), a = m * spec.k * 2,
                  out = m * spec.out_columns() * spec.out_dtype.bits() / 8;
    auto sets = [](int64_t bytes) {
      bytes = (bytes + 255) / 256 * 256;
      return std::clamp<int64_t>((kCold + bytes - 1) / bytes, 1, std::max<int64_t>(1, kPool / bytes));
    };
    int64_t turn = 0;
    auto piece = [&](const Pool& pool, int64_t bytes) {
      return pool.memory.pointer() + turn % sets(bytes) * ((bytes + 255) / 256 * 256);
    };
    auto one = [&] {
      launch({.a = piece(a_, a),
              .weights = piece(weights_, weights),
              .out = piece(out_, out),
              .bias = piece(a_, spec.n * 4),
              .residual = piece(a_, out),
              .workspace = workspace_});
      ++turn;
    };
    one();
    stream.synchronize();
    auto start = context_.device().create_event(), end = context_.device().create_event();
    auto between = [&](const std::function<void()>& work) {
      stream.record(*start);
      work();
      stream.record(*end);
      stream.synchronize();
      return end->seconds_since(*start);
    };
    double single = between([&] {
      for (int i = 0; i < 4; ++i) one();
    });
    auto launches = std::clamp<int64_t>(static_cast<int64_t>(kSample / (single / 4)), 4, 200);
    stream.begin_capture();
    for (int64_t i = 0; i < launches; ++i) one();
    auto graph = stream.end_capture();
    stream.launch(*graph);
    std::vector<double> samples;
    for (int i = 0; i < kSamples; ++i)
      samples.push_back(between([&] { stream.launch(*graph); }) / static_cast<double>(launches));
    std::nth_element(samples.begin(), samples.begin() + kSamples / 2, samples.end());
    return samples[kSamples / 2];
  }

  runtime::Context& context_;
  Pool weights_, a_, out_;
  runtime::Buffer counters_, workspace_;
};

// Every program is compiled before, by all threads.
void compile(runtime::Context& context, const std::vector<Line>& lines) {
  std::atomic<size_t> next = 0;
  std::vector<std::jthread> threads;
  for (unsigned t = 0; t < std::max(1u, std::thread::hardware_concurrency()); ++t)
    threads.emplace_back([&] {
      for (size_t i; (i = next++) < lines.size();) try {
          const Line& line = lines[i];
          if (line.kernel == "gemm")
            Gemm(context, parse_spec<GemmSpec>(line.spec)).prepare(line.m);
          else if (line.kernel == "gemm_few")
            program(context, "gemm_few", parse_spec<GemmFewSpec>(line.spec), gemm_few);
          else if (line.kernel == "gemm_decode")
            program(context, "gemm_decode", parse_spec<GemmDecodeSpec>(line.spec), gemm_decode);
          else
            program(context, "gemm_sm90", parse_spec<GemmSm90Spec>(line.spec), gemm_sm90);
        } catch (const std::exception&) {  // told when the line's turn comes
        }
    });
}

}  // namespace

int main(int count, char** arguments) {
  const bool step = count == 3 && std::string(arguments[2]) == "--step";
  if (count != 2 && !step) {
    std::cerr << "usage: sweep_sm90 LIST (lines \"KERNEL M SPEC\"; \"-\" reads standard input)\n";
    return 2;
  }
  std::ifstream file;
  if (std::string(arguments[1]) != "-") file.open(arguments[1]);
  std::istream& in = file.is_open() ? file : std::cin;
  std::vector<Line> lines;
  for (std::string text; std::getline(in, text);) {
    Line line;
    if (std::istringstream(text) >> line.kernel >> line.m >> line.spec) lines.push_back(line);
  }
  try {
    runtime::ContextOptions options;
    options.device = "cuda", options.cache.disk = false;
    runtime::Context context(std::move(options));
    compile(context, lines);
    Sweep sweep(context);
    if (step) std::cout << "ready\n" << std::flush;
    for (const Line& line : lines) {
      if (std::string go; step && !std::getline(std::cin, go)) break;
      std::string result;
      try {
        result = fmt::format("{:.3f}", 1e6 * sweep.seconds(line));
      } catch (const std::exception& e) {
        result = fmt::format("failed: {}", e.what());
      }
      std::cout << line.kernel << '\t' << line.m << '\t' << line.spec << '\t' << result << '\n' << std::flush;
    }
  } catch (const std::exception& e) {
    std::cerr << "sweep_sm90: " << e.what() << '\n';
    return 1;
  }
}
