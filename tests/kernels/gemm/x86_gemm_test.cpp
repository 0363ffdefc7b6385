#include "kernels/gemm/x86_gemm.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <random>

#include "support.h"
#include "x86_blocks.h"

namespace rose::kernels {
namespace {

// Weights as they come from a file, and the values they stand for.
struct Weights {
  std::vector<uint8_t> source;
  std::vector<float> scales;
  std::vector<double> values;
};

Weights random_weights(const X86GemmSpec& spec, uint64_t seed) {
  const auto& format = x86_weight_format(spec.weights);
  std::mt19937_64 engine(seed);
  Weights w;
  w.values.resize(static_cast<size_t>(spec.n * spec.k));
  if (format.quantised()) {
    int64_t blocks = spec.n * spec.k / format.block_elements;
    w.source = random_blocks(spec.weights, blocks, engine);
    for (int64_t i = 0; i < spec.n * spec.k; ++i)
      w.values[static_cast<size_t>(i)] = block_value(
          spec.weights, &w.source[static_cast<size_t>(i / format.block_elements * format.block_bytes)],
          static_cast<int>(i % format.block_elements));
    return w;
  }
  auto width = static_cast<size_t>(format.plain.bits() / 8);
  w.source.resize(w.values.size() * width);
  std::uniform_real_distribution<double> uniform(-1, 1);
  bool whole = format.plain == ir::s8;
  for (int64_t n = 0; n < spec.n && whole; ++n)
    w.scales.push_back(static_cast<float>(0.01 + 0.005 * uniform(engine)));
  for (size_t i = 0; i < w.values.size(); ++i) {
    uint64_t pattern = ir::bits_of(format.plain, whole ? std::floor(uniform(engine) * 128) : uniform(engine));
    std::memcpy(&w.source[i * width], &pattern, width);
    w.values[i] = ir::value_of(format.plain, pattern);
    if (whole) w.values[i] *= static_cast<double>(w.scales[i / static_cast<size_t>(spec.k)]);
  }
  return w;
}

// Activations that quantisation represents exactly: whole multiples of 1/128, of which each block of 32 has
// 127/128.
std::vector<double> activations(const X86GemmSpec& spec, int64_t rows) {
  auto form = x86_form(spec);
  if (form == X86Form::kAsIs) return random_values(spec.dtype, rows * spec.k, 7);
  if (form == X86Form::kBf16) return random_values(ir::bf16, rows * spec.k, 7);
  std::vector<double> a(static_cast<size_t>(rows * spec.k));
  std::mt19937_64 engine(7);
  for (int64_t i = 0; i < rows * spec.k; ++i) {
    int64_t place = i % spec.k % 32;
    int value = place == i / 32 % std::min<int64_t>(spec.k, 32) || (place == 0 && spec.k < 32)
                    ? 127
                    : static_cast<int>(engine() % 255) - 127;
    a[static_cast<size_t>(i)] = value / 128.0;
  }
  return a;
}

void check(const X86GemmSpec& spec, int64_t rows, runtime::Context& context = test_context(),
           bool prompt = false) {
  std::string what = fmt::format("{} M={}{}", spec_text(spec), rows, prompt ? " of a prompt" : "");
  const auto& format = x86_weight_format(spec.weights);
  auto w = random_weights(spec, static_cast<uint64_t>(spec.n + spec.k));
  auto a = activations(spec, rows), bias = random_values(ir::f32, spec.n, 3),
       residual = random_values(spec.out, rows * spec.n, 4);

  X86Gemm op(context, spec);
  auto packed = test_context().device().allocate(static_cast<size_t>(op.weight_bytes()));
  x86_pack(format, w.source.data(), w.scales, spec.n, spec.k,
           reinterpret_cast<uint8_t*>(packed.pointer().address));
  auto a_device = upload(spec.dtype, a), bias_device = upload(ir::f32, bias),
       residual_device = upload(spec.out, residual);
  auto out = poisoned(spec.out, rows * spec.n), workspace = poisoned(ir::u8, op.workspace_bytes(rows));
  op(context.stream(),
     {.a = a_device,
      .weights = packed,
      .out = out,
      .workspace = workspace,
      .bias = bias_device,
      .residual = residual_device,
      .prompt = prompt},
     rows);

  std::vector<double> want(static_cast<size_t>(rows * spec.n)), sizes = want;
  x86_gemm_reference(spec, a.data(), w.values.data(), bias.data(), residual.data(), want.data(), rows);
  // Every product and every partial sum is rounded once: the error is at most (terms + 8) roundings of
  // Σ|a·w|. VDPBF16PS rounds each of the two products of a pair. Terms of quantised products are the parts of
  // a sum by scales.
  auto magnitudes = [](std::vector<double> v) {
    for (double& x : v) x = std::abs(x);
    return v;
  };
  auto a_size = magnitudes(a), w_size = magnitudes(w.values), bias_size = magnitudes(bias),
       residual_size = magnitudes(residual);
  if (format.minimum || format.zero)  // scale·q and its offset are added separately
    for (int64_t i = 0; i < spec.n * spec.k; i += 32) {
      double largest = 0;
      for (int64_t e = i; e < i + 32; ++e) largest = std::max(largest, w_size[static_cast<size_t>(e)]);
      for (int64_t e = i; e < i + 32; ++e) w_size[static_cast<size_t>(e)] = 2 * largest;
    }
  x86_gemm_reference(spec, a_size.data(), w_size.data(), bias_size.data(), residual_size.data(), sizes.data(),
                     rows);
  auto got = download(spec.out, out, rows * spec.n);
  double terms = static_cast<double>(spec.k) + 8;
  // Rows of prompts meet quantised weights that were rounded to bf16.
  double rounded = prompt && format.quantised() ? 1.01 * ir::unit_roundoff(ir::bf16) : 0;
  for (size_t i = 0; i < want.size(); ++i) {
    double allowed = (terms * ir::unit_roundoff(ir::f32) + rounded) * sizes[i] +
                     1.01 * ir::unit_roundoff(spec.out) * std::abs(want[i]) +
                     ir::underflow_roundoff(spec.out);
    ASSERT_NEAR(got[i], want[i], allowed)
        << what << ": element " << i / static_cast<size_t>(spec.n) << ", " << i % static_cast<size_t>(spec.n);
  }
}

class X86GemmTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (on_gpu()) GTEST_SKIP() << "an x86 kernel";
  }
};

TEST_F(X86GemmTest, PlainFormatsMatchTheReferenceForEveryRemainder) {
  for (const char* weights : {"f32", "f16", "bf16", "s8"})
    for (auto [n, k] :
         {std::pair<int64_t, int64_t>{1, 1}, {5, 3}, {16, 8}, {64, 66}, {80, 33}, {150, 127}, {128, 257}}) {
      X86GemmSpec spec{.weights = weights, .dtype = ir::f32, .out = ir::f32, .n = n, .k = k};
      for (int64_t rows = 1; rows <= 13; ++rows) check(spec, rows);
    }
}

TEST_F(X86GemmTest, EveryTypeOfActivationsAndResults) {
  for (const char* weights : {"f32", "f16", "bf16", "s8", "q4_1", "q6_k"})
    for (ir::Type dtype : {ir::f32, ir::bf16, ir::f16})
      for (ir::Type out : {ir::f32, ir::bf16, ir::f16})
        for (bool exact : {false, true}) {
          X86GemmSpec spec{.weights = weights, .dtype = dtype, .out = out, .n = 72, .k = 256, .exact = exact};
          check(spec, 3), check(spec, 9);
        }
}

TEST_F(X86GemmTest, AddsBiasAndResidual) {
  for (const char* weights : {"f32", "bf16", "s8", "q4_0"})
    for (bool bias : {false, true})
      for (bool residual : {false, true}) {
        X86GemmSpec spec{.weights = weights,
                         .dtype = ir::bf16,
                         .out = ir::bf16,
                         .n = 90,
                         .k = 64,
                         .bias = bias,
                         .residual = residual};
        check(spec, 2), check(spec, 17);
      }
}

TEST_F(X86GemmTest, QuantisedFormatsMatchTheirDefinition) {
  for (const auto& format : x86_weight_formats()) {
    if (!format.quantised()) continue;
    for (bool exact : {false, true})
      for (int64_t k : {256, 768})
        for (int64_t n : {1, 16, 40}) {
          X86GemmSpec spec{.weights = std::string(format.name),
                           .dtype = ir::f32,
                           .out = ir::f32,
                           .n = n,
                           .k = k,
                           .exact = exact};
          for (int64_t rows : {1, 2, 3, 4, 5, 8, 11}) check(spec, rows);
        }
  }
}

// Machines without VNNI, without BF16, without AVX-512, without AVX2: the same results from other
// instructions.
TEST_F(X86GemmTest, OlderProcessors) {
  ir::X86Features host = ir::host_features();
  for (const char* features : {"avx2+avx512+bf16", "avx2+avx512+vnni", "avx2", "baseline"}) {
    auto wanted = ir::parse_target(std::string("x86:") + features).x86;
    if ((wanted.avx2 && !host.avx2) || (wanted.avx512 && !host.avx512) ||
        (wanted.avx512_bf16 && !host.avx512_bf16) || (wanted.avx512_vnni && !host.avx512_vnni))
      continue;
    runtime::ContextOptions options;
    options.device = "x86", options.x86.features = features, options.cache.disk = false;
    auto context = runtime::open_context(std::move(options));
    for (const char* weights : {"f32", "f16", "bf16", "s8", "q4_1", "q2_k", "q6_k", "mxfp4"})
      check({.weights = weights, .dtype = ir::bf16, .out = ir::bf16, .n = 75, .k = 256}, 7, *context);
    check({.weights = "q4_k", .dtype = ir::f32, .out = ir::f32, .n = 75, .k = 256, .exact = true}, 5,
          *context);
  }
}

TEST_F(X86GemmTest, ManyRowsAndColumns) {
  for (const char* weights : {"f32", "bf16", "s8", "q4_k", "q5_0", "q6_k"}) {
    X86GemmSpec spec{.weights = weights, .dtype = ir::bf16, .out = ir::f32, .n = 330, .k = 512};
    check(spec, 201);
  }
}

// AMX: runs where the machine has it; elsewhere the code is made and looked at.
TEST_F(X86GemmTest, TilesOfAmx) {
  auto target = ir::parse_target("x86:avx2+avx512+bf16+vnni+amx_bf16+amx_int8");
  X86GemmSpec spec{.dtype = ir::bf16, .n = 90, .k = 256, .bias = true, .residual = true};
  for (const auto& format : x86_weight_formats()) {
    spec.weights = format.name;
    if (spec.weights == "f32" || spec.weights == "f16") continue;
    spec.rows = 32, spec.out = ir::bf16;
    auto source = runtime::compile(gemm_x86(target, spec));
    EXPECT_GT(source.scratch_bytes, 4096u);
    spec.rows = 0, spec.out = ir::f32;
    for (int64_t rows : {1, 15, 32, 45, 129}) check(spec, rows, test_context(), true);
  }
  spec.dtype = ir::f32;
  for (const char* weights : {"bf16", "q4_1", "q6_k"})
    spec.weights = weights, check(spec, 1, test_context(), true), check(spec, 70, test_context(), true);
  EXPECT_THROW(gemm_x86(target, {.weights = "bf16", .k = 130, .rows = 32}), KernelError);
  EXPECT_THROW(gemm_x86(target, {.weights = "bf16", .amx = false, .rows = 32}), KernelError);
  EXPECT_THROW(gemm_x86(target, {.weights = "q4_k", .exact = true, .rows = 32}), KernelError);
}

TEST_F(X86GemmTest, ARowDoesNotDependOnItsCompany) {
  for (const auto& format : x86_weight_formats()) {
    std::string weights(format.name);
    X86GemmSpec spec{.weights = weights, .dtype = ir::f32, .out = ir::f32, .n = 100, .k = 512};
    X86Gemm op(test_context(), spec);
    auto w = random_weights(spec, 1);
    auto packed = test_context().device().allocate(static_cast<size_t>(op.weight_bytes()));
    x86_pack(format, w.source.data(), w.scales, spec.n, spec.k,
             reinterpret_cast<uint8_t*>(packed.pointer().address));
    constexpr int64_t kRows = 53;
    auto a = upload(ir::f32, random_values(ir::f32, kRows * spec.k, 5));
    for (bool prompt : {false, true}) {
      auto run = [&](int64_t first, int64_t rows) {
        auto out = poisoned(ir::f32, rows * spec.n), workspace = poisoned(ir::u8, op.workspace_bytes(rows));
        op(test_stream(),
           {.a = a.pointer() + first * spec.k * 4,
            .weights = packed,
            .out = out,
            .workspace = workspace,
            .prompt = prompt},
           rows);
        return download(ir::f32, out, rows * spec.n);
      };
      auto all = run(0, kRows);
      for (int64_t rows : {1, 2, 3, 5, 33}) {
        auto some = run(7, rows);
        for (size_t i = 0; i < some.size(); ++i)
          ASSERT_EQ(some[i], all[static_cast<size_t>(7 * spec.n) + i])
              << weights << " " << rows << (prompt ? " of a prompt" : "");
      }
    }
  }
}

// Two products of one matrix of activations, of different formats, side by side in one result.
TEST_F(X86GemmTest, SharedRecordsAndNeighbouringColumns) {
  constexpr int64_t kRows = 5, kColumns = 24 + 40;
  X86GemmSpec left{
      .weights = "q4_k", .dtype = ir::f32, .out = ir::f32, .n = 24, .k = 256, .out_stride = kColumns};
  X86GemmSpec right = left;
  right.weights = "q6_k", right.n = 40, right.residual = true;
  auto a = activations(left, kRows), before = random_values(ir::f32, kRows * kColumns, 6);
  auto a_device = upload(ir::f32, a), out = upload(ir::f32, before);
  std::vector<double> want(before.size());
  runtime::Buffer workspace;
  int64_t first = 0;
  for (const auto& spec : {left, right}) {
    X86Gemm op(test_context(), spec);
    auto w = random_weights(spec, 1);
    auto packed = test_context().device().allocate(static_cast<size_t>(op.weight_bytes()));
    x86_pack(x86_weight_format(spec.weights), w.source.data(), {}, spec.n, spec.k,
             reinterpret_cast<uint8_t*>(packed.pointer().address));
    if (first == 0) workspace = poisoned(ir::u8, op.workspace_bytes(kRows));
    auto columns = out.pointer() + 4 * first;
    op(test_stream(),
       {.a = first ? runtime::DevicePointer() : a_device.pointer(),
        .weights = packed,
        .out = columns,
        .workspace = workspace,
        .residual = columns},
       kRows);
    std::vector<double> part(static_cast<size_t>(kRows * spec.n)), rest(part.size());
    x86_gemm_reference(spec, a.data(), w.values.data(), nullptr, rest.data(), part.data(), kRows);
    for (int64_t i = 0; i < kRows * spec.n; ++i) {
      auto at = static_cast<size_t>(i / spec.n * kColumns + first + i % spec.n);
      want[at] = part[static_cast<size_t>(i)] + (spec.residual ? before[at] : 0);
    }
    first += spec.n;
  }
  double largest = 0;
  for (double v : want) largest = std::max(largest, std::abs(v));
  expect_close(download(ir::f32, out, kRows * kColumns), want, 256 * ir::unit_roundoff(ir::f32) * largest, 0,
               "columns");
}

TEST_F(X86GemmTest, RefusesSpecsOutsideItsRange) {
  EXPECT_THROW(X86Gemm(test_context(), {.weights = "q9_z"}), KernelError);
  EXPECT_THROW(X86Gemm(test_context(), {.weights = "q4_k", .k = 128}), KernelError);
  EXPECT_THROW(X86Gemm(test_context(), {.weights = "s8", .k = 70000}), KernelError);
  EXPECT_THROW(X86Gemm(test_context(), {.dtype = ir::s8}), KernelError);
  X86Gemm op(test_context(), {.weights = "q4_0", .n = 16, .k = 32});
  auto buffer = test_context().device().allocate(4096);
  EXPECT_THROW(op(test_stream(), {.a = buffer, .weights = buffer, .out = buffer}, 1), KernelError);
}

}  // namespace
}  // namespace rose::kernels
