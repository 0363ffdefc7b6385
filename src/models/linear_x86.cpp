// Linear layers on x86: weights stay in the format of the file, packed once for the matrix product.
#include "models/linear.h"
#include "models/preparations.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <exception>
#include <functional>
#include <thread>

#include "kernels/gemm/x86_gemm.h"
#include "weights/blocks.h"
#include "weights/dequantize.h"

namespace rose::models {
namespace {

using weights::Format;
using weights::Tensor;

std::string lower_case(std::string_view name) {
  std::string text(name);
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// Whether x86 products read this format.
bool is_packed(Format format) {
  auto name = lower_case(weights::name(format));
  return std::ranges::any_of(kernels::x86_weight_formats(),
                             [&](const auto& f) { return f.name == name && f.name != "s8"; });
}

bool fits_q8_0(Format format) {
  return format == Format::kQ4_0 || format == Format::kQ5_0 || format == Format::kQ8_0;
}

// The same values: both formats scale small integers by one half.
void to_q8_0(const Tensor& tensor, std::vector<std::byte>& out) {
  using namespace weights;
  const size_t step = info(tensor.format).block_bytes;
  for (size_t at = 0; at < tensor.bytes.size(); at += step) {
    BlockQ8_0 block;
    const std::byte* source = tensor.bytes.data() + at;
    if (tensor.format == Format::kQ8_0) {
      std::memcpy(&block, source, sizeof block);
    } else if (tensor.format == Format::kQ4_0) {
      BlockQ4_0 b;
      std::memcpy(&b, source, sizeof b);
      block.scale = b.scale;
      for (size_t i = 0; i < 16; ++i) {
        block.quants[i] = static_cast<int8_t>((b.quants[i] & 15) - 8);
        block.quants[i + 16] = static_cast<int8_t>((b.quants[i] >> 4) - 8);
      }
    } else {
      BlockQ5_0 b;
      std::memcpy(&b, source, sizeof b);
      block.scale = b.scale;
      auto high = [&](size_t e) { return (b.high[e / 8] >> (e % 8) & 1) << 4; };
      for (size_t i = 0; i < 16; ++i) {
        block.quants[i] = static_cast<int8_t>(((b.quants[i] & 15) | high(i)) - 16);
        block.quants[i + 16] = static_cast<int8_t>(((b.quants[i] >> 4) | high(i + 16)) - 16);
      }
    }
    const auto* bytes = reinterpret_cast<const std::byte*>(&block);
    out.insert(out.end(), bytes, bytes + sizeof block);
  }
}

struct Matrix {
  std::string format;
  std::span<const std::byte> bytes;
  std::vector<std::byte> own;  // where bytes lie unless they are the file's
};

// To the nearest, ties to even. Values are finite: see Checkpoint::tensor.
void to_bf16(std::span<const float> values, std::vector<std::byte>& out) {
  for (float value : values) {
    auto bits = std::bit_cast<uint32_t>(value);
    auto half = static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    const auto* bytes = reinterpret_cast<const std::byte*>(&half);
    out.insert(out.end(), bytes, bytes + sizeof half);
  }
}

Matrix stack(std::span<const Tensor* const> parts, Precision precision) {
  Matrix m;
  const Format first = parts[0]->format;
  const bool all_bf16 = std::ranges::all_of(parts, [](auto* t) { return t->format == Format::kBF16; });
  if (precision == Precision::kBf16 && !all_bf16) {
    m.format = "bf16";
    for (auto* t : parts) to_bf16(weights::dequantize(*t), m.own);
    m.bytes = m.own;
    return m;
  }
  const bool equal = std::ranges::all_of(parts, [&](auto* t) { return t->format == first; });
  if (equal && is_packed(first)) {
    m.format = lower_case(weights::name(first));
    if (parts.size() == 1) {
      m.bytes = parts[0]->bytes;
      return m;
    }
    for (auto* t : parts) m.own.insert(m.own.end(), t->bytes.begin(), t->bytes.end());
  } else if (std::ranges::all_of(parts, [](auto* t) { return fits_q8_0(t->format); })) {
    m.format = "q8_0";
    for (auto* t : parts) to_q8_0(*t, m.own);
  } else {
    m.format = "f32";
    for (auto* t : parts) {
      auto values = weights::dequantize(*t);
      auto bytes = std::as_bytes(std::span(values));
      m.own.insert(m.own.end(), bytes.begin(), bytes.end());
    }
  }
  m.bytes = m.own;
  return m;
}

constexpr int64_t kSliceBytes = int64_t{16} << 20;

// Panels are independent: half of them for each of two threads, and so on. `after_slice` is called from time
// to time, when what has been read so far is not needed again.
void pack(const Matrix& m, int64_t n, int64_t k, int threads, uint8_t* out,
          const std::function<void()>& after_slice) {
  const auto& format = kernels::x86_weight_format(m.format);
  const auto* source = reinterpret_cast<const uint8_t*>(m.bytes.data());
  const int64_t all = (n + kernels::kX86PanelColumns - 1) / kernels::kX86PanelColumns;
  const int64_t slices = std::clamp<int64_t>(static_cast<int64_t>(m.bytes.size()) / kSliceBytes, 1, all);
  for (int64_t slice = 0; slice < slices; ++slice) {
    const int64_t first = all * slice / slices, panels = all * (slice + 1) / slices - first;
    const int team = static_cast<int>(std::clamp<int64_t>(panels / 64, 1, threads));
    std::vector<std::exception_ptr> failures(static_cast<size_t>(team));
    auto part = [&](int64_t i) {
      try {
        kernels::x86_pack_panels(format, source, {}, n, k, first + panels * i / team,
                                 first + panels * (i + 1) / team, out);
      } catch (...) {
        failures[static_cast<size_t>(i)] = std::current_exception();
      }
    };
    {
      std::vector<std::jthread> others;
      for (int i = 1; i < team; ++i) others.emplace_back(part, i);
      part(0);
    }
    for (const auto& failure : failures)
      if (failure) std::rethrow_exception(failure);
    after_slice();
  }
}

class X86Linear : public LinearKernel {
 public:
  X86Linear(const Build& build, const LinearParts& parts) {
    auto& context = build.context;
    uint64_t n = 0;
    for (auto* t : parts.matrices) n += t->shape[0];
    Matrix matrix = stack(parts.matrices, build.precision);
    kernels::X86GemmSpec spec;
    spec.weights = matrix.format;
    spec.dtype = ir::f32, spec.out = ir::f32;
    spec.n = static_cast<int64_t>(n), spec.k = static_cast<int64_t>(parts.matrices[0]->row_elements());
    spec.bias = !parts.bias.empty(), spec.residual = parts.adds,
    spec.exact = build.precision == Precision::kExact;
    if (build.preparations)
      build.preparations->add(kernels::spec_text(spec),
                              [&context, spec] { kernels::X86Gemm(context, spec).prepare(); });
    gemm_ = std::make_unique<kernels::X86Gemm>(context, spec);
    packed_ = context.device().allocate_dedicated(static_cast<size_t>(gemm_->weight_bytes()));
    pack(matrix, spec.n, spec.k, context.properties().processors,
         reinterpret_cast<uint8_t*>(packed_.pointer().address), [&] {
           for (auto* t : parts.matrices) build.checkpoint.tensors().release(*t);
         });
    if (spec.bias) bias_ = upload(context, parts.bias);
  }

  void run(runtime::Stream& stream, runtime::DevicePointer a, runtime::DevicePointer out,
           std::span<const RowRun> runs, Workspace& workspace) const override {
    for (const auto& run : runs) {
      kernels::X86Gemm::Operands o;
      o.a = a + run.first * gemm_->spec().k * 4, o.out = out + run.first * gemm_->spec().n * 4;
      o.weights = packed_, o.bias = bias_, o.prompt = run.prompt;
      if (int64_t bytes = gemm_->workspace_bytes(run.count)) o.workspace = workspace.at_least(bytes);
      if (gemm_->spec().residual) o.residual = o.out;
      (*gemm_)(stream, o, run.count);
    }
  }

  int64_t n() const override { return gemm_->spec().n; }
  int64_t bytes() const override { return static_cast<int64_t>(packed_.bytes()); }

 private:
  std::unique_ptr<kernels::X86Gemm> gemm_;
  runtime::Buffer packed_, bias_;
};

}  // namespace

std::unique_ptr<LinearKernel> make_linear_x86(const Build& build, const LinearParts& parts) {
  return std::make_unique<X86Linear>(build, parts);
}

}  // namespace rose::models
