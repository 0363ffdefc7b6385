// Matrix products of ROSE and of oneDNN on the same data, in turns, on the same number of threads: time and
// GFLOP/s of both, and ROSE's share. Weights are packed ahead on both sides; activations of 8-bit products
// are 8-bit already.
//
//   compare_onednn [--threads T] [M N K]...     default: all threads; 1024³ and the shapes of small language
//   models
//
// With one thread, time is what that thread used of its processor: fit for a machine that others use too.
#include <fmt/format.h>
#include <omp.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <oneapi/dnnl/dnnl.hpp>
#include <random>
#include <unordered_map>

#include "kernels/gemm/x86_gemm.h"

namespace {

using namespace rose;
using Clock = std::chrono::steady_clock;

struct Sizes {
  int64_t m, n, k;
};

// oneDNN's product, with weights in the layout that it prefers.
class Peer {
 public:
  Peer(const std::string& kind, Sizes s) : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    using dt = dnnl::memory::data_type;
    using tag = dnnl::memory::format_tag;
    bool whole = kind == "s8";
    dt a = whole            ? dt::u8
           : kind == "bf16" ? dt::bf16
                            : dt::f32,
       w = whole ? dt::s8 : a, out = whole ? dt::f32 : a;
    dnnl::primitive_attr attributes;
    if (whole) attributes.set_scales_mask(DNNL_ARG_WEIGHTS, 2);
    dnnl::memory::desc src({s.m, s.k}, a, tag::ab), weights({s.k, s.n}, w, tag::any),
        dst({s.m, s.n}, out, tag::ab);
    dnnl::matmul::primitive_desc description(engine_, src, weights, dst, attributes);
    name_ = description.impl_info_str();
    primitive_ = dnnl::matmul(description);
    arguments_ = {{DNNL_ARG_SRC, filled(description.src_desc())},
                  {DNNL_ARG_WEIGHTS, filled(description.weights_desc())},
                  {DNNL_ARG_DST, filled(description.dst_desc())}};
    if (whole) arguments_.insert({DNNL_ARG_ATTR_SCALES | DNNL_ARG_WEIGHTS, filled({{s.n}, dt::f32, tag::a})});
  }
  void operator()() {
    primitive_.execute(stream_, arguments_);
    stream_.wait();
  }
  const std::string& name() const { return name_; }

 private:
  dnnl::memory filled(const dnnl::memory::desc& description) {
    dnnl::memory memory(description, engine_);
    std::memset(memory.get_data_handle(), 0x2c,
                description.get_size());  // small positive numbers in every type
    return memory;
  }

  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::matmul primitive_;
  std::unordered_map<int, dnnl::memory> arguments_;
  std::string name_;
};

class Ours {
 public:
  Ours(runtime::Context& context, const std::string& kind, Sizes s)
      : context_(context), rows_(s.m), op_(context, spec(kind, s)) {
    auto& device = context.device();
    auto bytes = [&](int64_t n) {
      auto buffer = device.allocate(static_cast<size_t>(std::max<int64_t>(n, 64)));
      context.stream().fill(buffer, 0x2c, buffer.bytes());
      return buffer;
    };
    a_ = bytes(s.m * s.k * 4), weights_ = bytes(op_.weight_bytes()), out_ = bytes(s.m * s.n * 4),
    workspace_ = bytes(op_.workspace_bytes(s.m));
  }
  void operator()() {
    bool records = op_.workspace_bytes(1) > 0;
    op_(context_.stream(),
        {.a = records ? runtime::DevicePointer() : a_.pointer(),
         .weights = weights_,
         .out = out_,
         .workspace = workspace_},
        rows_);
  }

 private:
  static kernels::X86GemmSpec spec(const std::string& kind, Sizes s) {
    ir::Type dtype = kind == "bf16" ? ir::bf16 : ir::f32;
    return {.weights = kind, .dtype = dtype, .out = dtype, .n = s.n, .k = s.k};
  }

  runtime::Context& context_;
  int64_t rows_;
  kernels::X86Gemm op_;
  runtime::Buffer a_, weights_, out_, workspace_;
};

double now(bool thread_time) {
  if (!thread_time) return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

template <class F>
double seconds(F& run, bool thread_time) {
  double start = now(thread_time);
  run();
  return now(thread_time) - start;
}

double median(std::vector<double> v) {
  std::nth_element(v.begin(), v.begin() + static_cast<int64_t>(v.size() / 2), v.end());
  return v[v.size() / 2];
}

void compare(runtime::Context& context, const std::string& kind, Sizes s) {
  Peer peer(kind, s);
  Ours ours(context, kind, s);
  double flop = 2.0 * static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k);
  peer(), ours();
  std::vector<double> a, b;
  auto begin = Clock::now();
  bool alone = context.properties().processors == 1;
  while (a.size() < 15 || (a.size() < 400 && Clock::now() - begin < std::chrono::seconds(2)))
    a.push_back(seconds(ours, alone)), b.push_back(seconds(peer, alone));
  double mine = median(a), its = median(b), best = *std::min_element(a.begin(), a.end()),
         its_best = *std::min_element(b.begin(), b.end());
  fmt::print("{:>5} {:>5} {:>6} {:>6} {:>9.1f} {:>9.1f} {:>8.0f}% {:>9.1f} {:>9.1f} {:>8.0f}%  {}\n", kind,
             s.m, s.n, s.k, flop / mine * 1e-9, flop / its * 1e-9, 100 * its / mine, flop / best * 1e-9,
             flop / its_best * 1e-9, 100 * its_best / best, peer.name());
  std::fflush(stdout);
}

}  // namespace

int main(int count, char** words) {
  // OpenMP's threads must sleep between regions: spinning, they keep ROSE's threads off the processors (seen:
  // half the speed with 2 threads on 2 processors). libgomp reads this when it is loaded, so start again with
  // it set.
  if (!std::getenv("OMP_WAIT_POLICY")) {
    setenv("OMP_WAIT_POLICY", "passive", 1);
    execv("/proc/self/exe", words);
  }
  std::vector<Sizes> sizes{{1024, 1024, 1024}, {1, 1024, 1024},  {1, 4096, 4096}, {4, 4096, 4096},
                           {128, 4096, 4096},  {512, 1536, 576}, {512, 576, 1536}};
  runtime::ContextOptions options;
  int first = 1;
  if (count > 2 && std::string_view(words[1]) == "--threads")
    options.x86.threads = std::atoi(words[2]), first = 3;
  if (count > first + 2) sizes.clear();
  for (int i = first; i + 2 < count; i += 3)
    sizes.push_back({std::atoll(words[i]), std::atoll(words[i + 1]), std::atoll(words[i + 2])});
  options.device = "x86", options.cache.disk = false;
  auto context = runtime::open_context(std::move(options));
  omp_set_num_threads(context->properties().processors);
  fmt::print("{}, {} threads; GFLOP/s: medians, then the best runs\n", context->properties().name,
             context->properties().processors);
  fmt::print("{:>5} {:>5} {:>6} {:>6} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}  {}\n", "", "M", "N", "K", "ROSE",
             "oneDNN", "share", "ROSE", "oneDNN", "share", "its code");
  for (auto s : sizes)
    for (const char* kind : {"bf16", "s8", "f32"}) compare(*context, kind, s);
}
