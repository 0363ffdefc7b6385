// Linear layers on GPUs: weights as rows of the activations' type, whatever the file holds.
#include <optional>

#include "kernels/gemm/gemm.h"
#include "models/linear.h"
#include "models/preparations.h"
#include "models/weight_loader.h"

namespace rose::models {
namespace {

constexpr int64_t kRowMultiple = 8;  // of a weight matrix, for the matrix product; the rest is zero
constexpr int64_t kGatedGroup = 8;   // rows of gate and up in turn; see kernels::gated_row

class GpuLinear : public LinearKernel {
 public:
  GpuLinear(const Build& build, const LinearParts& parts) : weights_(parts.shared) {
    kernels::GemmSpec spec;
    spec.dtype = build.compute.dtype, spec.out_dtype = parts.f32_out ? ir::f32 : build.compute.dtype;
    spec.k = static_cast<int64_t>(parts.matrices[0]->row_elements()), spec.n = 0;
    for (auto* t : parts.matrices) spec.n += static_cast<int64_t>(t->shape[0]);
    n_ = parts.gated.empty() ? spec.n : spec.n / 2;
    spec.n = (spec.n + kRowMultiple - 1) / kRowMultiple * kRowMultiple;
    spec.bias = !parts.bias.empty(), spec.residual = parts.adds, spec.pdl = true;
    spec.gated = !parts.gated.empty();
    if (spec.gated) spec.activation = parts.gated;
    if (!parts.activation.empty()) spec.activation = parts.activation;
    gemm_ = std::make_unique<kernels::Gemm>(build.context, spec);
    if (n_ != spec.out_columns()) padded_ = std::make_unique<Workspace>(build.context);
    if (build.preparations)
      for (int64_t rows : gemm_->program_rows(build.compute.prompt_chunk))
        build.preparations->add(
            fmt::format("{} rows={}", kernels::spec_text(spec), rows),
            [&context = build.context, spec, rows] { kernels::Gemm(context, spec).prepare_for(rows); });
    if (!weights_) weights_ = upload_rows(build, parts.matrices, spec.gated ? kGatedGroup : 0), owns_ = true;
    if (!spec.bias) return;
    std::vector<float> bias(parts.bias.begin(), parts.bias.end());
    bias.resize(static_cast<size_t>(spec.n));
    if (spec.gated)
      for (int64_t i = 0, half = spec.n / 2; i < spec.n; ++i)
        bias[static_cast<size_t>(kernels::gated_row(i % half, i >= half))] =
            parts.bias[static_cast<size_t>(i)];
    bias_ = upload(build.context, bias);
  }

  void run(runtime::Stream& stream, runtime::DevicePointer a, runtime::DevicePointer out,
           std::span<const RowRun> runs, Workspace& workspace) const override {
    int64_t rows = 0;
    for (const auto& run : runs) rows += run.count;
    if (rows == 0) return;
    kernels::Gemm::Operands o;
    o.a = a, o.weights = *weights_, o.out = out, o.bias = bias_;
    if (gemm_->spec().residual) o.residual = out;
    if (int64_t bytes = gemm_->workspace_bytes(rows)) o.workspace = workspace.at_least(bytes);
    if (n_ == gemm_->spec().out_columns()) return (*gemm_)(stream, o, rows);
    // Columns that are no multiple: the product with the rest, then its rows without.
    const int64_t bytes = gemm_->spec().out_dtype.bits() / 8, wide = gemm_->spec().out_columns() * bytes;
    if (o.residual)
      fail("a layer with {} rows cannot add its product on a GPU: that takes a multiple of 8", n_);
    o.out = padded_->at_least(rows * wide);
    (*gemm_)(stream, o, rows);
    for (int64_t r = 0; r < rows; ++r)
      stream.copy(out + r * n_ * bytes, o.out + r * wide, static_cast<size_t>(n_ * bytes));
  }

  int64_t n() const override { return n_; }
  int64_t bytes() const override { return owns_ ? static_cast<int64_t>(weights_->bytes()) : 0; }

 private:
  std::unique_ptr<kernels::Gemm> gemm_;
  SharedBuffer weights_;
  bool owns_ = false;
  int64_t n_;  // columns of out
  std::unique_ptr<Workspace> padded_;
  runtime::Buffer bias_;
};

}  // namespace

SharedBuffer upload_rows(const Build& build, std::span<const weights::Tensor* const> matrices,
                         int64_t group) {
  size_t rows = 0;
  for (auto* t : matrices) rows += t->rows();
  const auto row_bytes = matrices[0]->row_elements() * static_cast<size_t>(build.compute.bytes());
  const size_t rest = (kRowMultiple - rows % kRowMultiple) % kRowMultiple;
  auto device =
      std::make_shared<runtime::Buffer>(build.context.device().allocate_dedicated((rows + rest) * row_bytes));
  if (rest) {
    build.context.stream().fill(device->pointer() + static_cast<int64_t>(rows * row_bytes), 0,
                                rest * row_bytes);
    build.context.stream().synchronize();
  }
  std::optional<WeightLoader> own;
  if (!build.loader) own.emplace(build.context, build.checkpoint);
  auto& loader = own ? *own : *build.loader;
  loader.copy(matrices, *device, build.compute.dtype, group, device);
  if (own) own->finish();
  return device;
}

std::unique_ptr<LinearKernel> make_linear_gpu(const Build& build, const LinearParts& parts) {
  return std::make_unique<GpuLinear>(build, parts);
}

}  // namespace rose::models
