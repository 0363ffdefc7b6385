// Linear layers on x86: weights stay in the format of the file, packed once for the matrix product.
#include "models/linear.h"
#include "models/preparations.h"

#include <algorithm>
#include <bit>
#include <cctype>
#include <cstring>
#include <exception>
#include <thread>

#include "kernels/gemm/x86_gemm.h"
#include "weights/dequantize.h"
#include "weights/finite.h"

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

// The format that the product reads: the file's own where there is a product for it.
std::string format_of(const Tensor& tensor, Precision precision) {
  if (precision == Precision::kBf16) return "bf16";
  auto name = lower_case(weights::name(tensor.format));
  const bool known = std::ranges::any_of(kernels::x86_weight_formats(),
                                         [&](const auto& f) { return f.name == name && f.name != "s8"; });
  return known ? name : "f32";
}

// To the nearest, ties to even. Values are finite.
void to_bf16(std::span<const float> values, std::vector<std::byte>& out) {
  out.reserve(values.size() * 2);
  for (float value : values) {
    auto bits = std::bit_cast<uint32_t>(value);
    auto half = static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    const auto* bytes = reinterpret_cast<const std::byte*>(&half);
    out.insert(out.end(), bytes, bytes + sizeof half);
  }
}

// Brings a matrix into the panels of a product, a piece at a time, and looks for NaN on the way: what has
// been looked at is then still in the cache.
class Packer {
 public:
  Packer(const weights::TensorStore& store, int threads) : store_(store), threads_(threads) {}

  /// `out`: where its first panel lies.
  void operator()(const Tensor& tensor, const kernels::X86WeightFormat& format, uint8_t* out) const {
    if (lower_case(weights::name(tensor.format)) == format.name) return pack(tensor, format, out, true);
    weights::expect_finite(store_, tensor);
    auto values = weights::dequantize(tensor);
    Tensor other = tensor;
    std::vector<std::byte> bf16;
    if (format.name == "bf16")
      to_bf16(values, bf16), other.format = Format::kBF16, other.bytes = bf16;
    else
      other.format = Format::kF32, other.bytes = std::as_bytes(std::span(values));
    store_.release(tensor);
    pack(other, format, out, false);
  }

 private:
  static constexpr int64_t kPanelsAtOnce = 16;               // a few hundred KB: half a second-level cache
  static constexpr int64_t kSliceBytes = int64_t{16} << 20;  // the file's pages are given back so often
  static constexpr int64_t kBytesOfThread = int64_t{256} << 10;  // less than this is not worth a thread

  void pack(const Tensor& tensor, const kernels::X86WeightFormat& format, uint8_t* out, bool of_file) const {
    const auto rows = static_cast<int64_t>(tensor.rows()), bytes = static_cast<int64_t>(tensor.bytes.size());
    const int64_t all = (rows + kernels::kX86PanelColumns - 1) / kernels::kX86PanelColumns;
    const int64_t slices = std::clamp<int64_t>(bytes / kSliceBytes, 1, all);
    for (int64_t slice = 0; slice < slices; ++slice) {
      const int64_t first = all * slice / slices, end = all * (slice + 1) / slices;
      share(end - first, bytes / slices, [&](int64_t from, int64_t to) {
        for (int64_t panel = first + from; panel < first + to; panel += kPanelsAtOnce)
          pack_panels(tensor, format, panel, std::min(panel + kPanelsAtOnce, first + to), out, of_file);
      });
      if (of_file) store_.release(rows_of_panels(tensor, first, end));
    }
  }

  void pack_panels(const Tensor& tensor, const kernels::X86WeightFormat& format, int64_t first, int64_t end,
                   uint8_t* out, bool check) const {
    if (check && weights::first_non_finite(rows_of_panels(tensor, first, end)))
      weights::expect_finite(store_, store_.at(tensor.name));  // throws, with the right element
    kernels::x86_pack_panels(format, reinterpret_cast<const uint8_t*>(tensor.bytes.data()), {},
                             static_cast<int64_t>(tensor.rows()), static_cast<int64_t>(tensor.row_elements()),
                             first, end, out);
  }

  static Tensor rows_of_panels(const Tensor& tensor, int64_t first, int64_t end) {
    const auto rows = static_cast<int64_t>(tensor.rows());
    const int64_t from = kernels::kX86PanelColumns * first,
                  to = std::min(kernels::kX86PanelColumns * end, rows);
    return weights::rows_of(tensor, static_cast<uint64_t>(from), static_cast<uint64_t>(to - from));
  }

  // part(from, to) for pieces of [0, count), on several threads where there is enough to do.
  template <typename Part>
  void share(int64_t count, int64_t bytes, const Part& part) const {
    const auto team = std::clamp<int64_t>(std::min(bytes / kBytesOfThread, count), 1, threads_);
    std::vector<std::exception_ptr> failures(static_cast<size_t>(team));
    auto run = [&](int64_t i) {
      try {
        part(count * i / team, count * (i + 1) / team);
      } catch (...) {
        failures[static_cast<size_t>(i)] = std::current_exception();
      }
    };
    {
      std::vector<std::jthread> others;
      for (int64_t i = 1; i < team; ++i) others.emplace_back(run, i);
      run(0);
    }
    for (const auto& failure : failures)
      if (failure) std::rethrow_exception(failure);
  }

  const weights::TensorStore& store_;
  int threads_;
};

class X86Linear : public LinearKernel {
 public:
  X86Linear(const Build& build, const LinearParts& parts) {
    for (auto* t : parts.matrices) n_ += static_cast<int64_t>(t->shape[0]);
    for (size_t first = 0; first < parts.matrices.size();) {
      const size_t end = end_of_product(build, parts, first);
      add_product(build, parts, parts.matrices.subspan(first, end - first));
      first = end;
    }
  }

  void run(runtime::Stream& stream, runtime::DevicePointer a, runtime::DevicePointer out,
           std::span<const RowRun> runs, Workspace& workspace) const override {
    int64_t room = 0;
    for (const auto& run : runs)
      for (const auto& p : products_) room = std::max(room, p.gemm->workspace_bytes(run.count));
    runtime::DevicePointer records{};
    if (room) records = workspace.at_least(room);
    for (const auto& run : runs)
      for (const auto& p : products_) {
        kernels::X86Gemm::Operands o;
        if (!p.shares_records) o.a = a + run.first * p.gemm->spec().k * 4;
        o.out = out + (run.first * n_ + p.column) * 4;
        o.weights = p.weights, o.bias = p.bias, o.prompt = run.prompt, o.workspace = records;
        if (p.gemm->spec().residual) o.residual = o.out;
        (*p.gemm)(stream, o, run.count);
      }
  }

  int64_t n() const override { return n_; }
  int64_t bytes() const override {
    int64_t bytes = 0;
    for (const auto& p : products_) bytes += static_cast<int64_t>(p.weights.bytes());
    return bytes;
  }

 private:
  struct Product {
    std::unique_ptr<kernels::X86Gemm> gemm;
    runtime::Buffer weights, bias;
    int64_t column = 0;           // the first of its columns of out
    bool shares_records = false;  // with the product ahead of it
  };

  // Matrices of one format that fill whole panels (the last one need not) are one product.
  static size_t end_of_product(const Build& build, const LinearParts& parts, size_t first) {
    size_t end = first + 1;
    while (end < parts.matrices.size() && parts.matrices[end - 1]->rows() % kernels::kX86PanelColumns == 0 &&
           format_of(*parts.matrices[end], build.precision) ==
               format_of(*parts.matrices[first], build.precision))
      ++end;
    return end;
  }

  void add_product(const Build& build, const LinearParts& parts, std::span<const Tensor* const> matrices) {
    auto& context = build.context;
    Product p;
    if (!products_.empty()) p.column = products_.back().column + products_.back().gemm->spec().n;
    kernels::X86GemmSpec spec;
    spec.weights = format_of(*matrices[0], build.precision);
    spec.dtype = ir::f32, spec.out = ir::f32;
    spec.n = 0, spec.k = static_cast<int64_t>(matrices[0]->row_elements());
    for (auto* t : matrices) spec.n += static_cast<int64_t>(t->rows());
    spec.out_stride = spec.n == n_ ? 0 : n_;
    spec.bias = !parts.bias.empty(), spec.residual = parts.adds,
    spec.exact = build.precision == Precision::kExact;
    if (build.preparations)
      build.preparations->add(kernels::spec_text(spec),
                              [&context, spec] { kernels::X86Gemm(context, spec).prepare(); });
    p.gemm = std::make_unique<kernels::X86Gemm>(context, spec);
    p.shares_records = !products_.empty() && products_.back().gemm->shares_records(*p.gemm);
    p.weights = context.device().allocate_dedicated(static_cast<size_t>(p.gemm->weight_bytes()));
    const auto& format = kernels::x86_weight_format(spec.weights);
    const Packer pack(build.checkpoint.tensors(), context.properties().processors);
    auto* out = reinterpret_cast<uint8_t*>(p.weights.pointer().address);
    for (auto* t : matrices) {
      pack(*t, format, out);
      out += kernels::x86_packed_bytes(format, static_cast<int64_t>(t->rows()), spec.k);
    }
    if (spec.bias)
      p.bias =
          upload(context, parts.bias.subspan(static_cast<size_t>(p.column), static_cast<size_t>(spec.n)));
    products_.push_back(std::move(p));
  }

  int64_t n_ = 0;
  std::vector<Product> products_;
};

}  // namespace

std::unique_ptr<LinearKernel> make_linear_x86(const Build& build, const LinearParts& parts) {
  return std::make_unique<X86Linear>(build, parts);
}

}  // namespace rose::models
