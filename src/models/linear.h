// A linear layer: weights in whatever format the checkpoint has, brought into the form that the device's
// matrix product reads.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "models/build.h"

namespace rose::models {

/// Memory on the device that grows to what is asked for and is used again.
class Workspace {
 public:
  explicit Workspace(runtime::Context& context) : context_(&context) {}
  runtime::DevicePointer at_least(int64_t bytes) {
    if (static_cast<int64_t>(buffer_.bytes()) < bytes) {
      context_->stream().synchronize();  // what is queued may still use the old memory
      buffer_.reset();
      buffer_ = context_->device().allocate(static_cast<size_t>(bytes));
    }
    return buffer_;
  }
  int64_t bytes() const { return static_cast<int64_t>(buffer_.bytes()); }

 private:
  runtime::Context* context_;
  runtime::Buffer buffer_;
};

/// Weights on a device, possibly shared by several layers.
using SharedBuffer = std::shared_ptr<runtime::Buffer>;

/// What a linear layer is made of.
struct LinearParts {
  std::span<const weights::Tensor* const> matrices;  // [n_i, k] each, one below the other
  std::span<const float> bias = {};                  // n values or none
  bool adds = false;                                 // the product is added to what `out` holds
  std::string gated = {};         // GPUs: an activation f; of two equal matrices, out = f(first) · second
  std::string activation = {};    // GPUs: out = f(product + bias)
  bool f32_out = false;           // GPUs: out is f32 instead of the activations' type
  SharedBuffer shared = nullptr;  // GPUs: the matrix as a buffer that exists already
};

/// Neighbouring rows that are computed in one way. On x86, several new tokens of a sequence take another way
/// than one does (see X86Gemm), so that a row does not depend on what else a step holds.
struct RowRun {
  int64_t first = 0, count = 0;
  bool prompt = false;
};

/// One device's way of computing a linear layer.
class LinearKernel {
 public:
  virtual ~LinearKernel() = default;
  /// See Linear::operator(). The runs follow each other without gaps, from row 0 on.
  virtual void run(runtime::Stream& stream, runtime::DevicePointer a, runtime::DevicePointer out,
                   std::span<const RowRun> runs, Workspace& workspace) const = 0;
  virtual int64_t n() const = 0;  // columns of out
  virtual int64_t bytes() const = 0;
};

/// out[rows, n] = a[rows, k]·Wᵀ (+ bias), or out += …; a and out in the device's type (Compute::dtype).
class Linear {
 public:
  Linear() = default;
  /// x86: matrices keep their formats; neighbours of one format become one product. GPUs: all become bf16,
  /// and are there when the build's loader has finished. Throws WeightsError for values that are not finite.
  Linear(const Build& build, const LinearParts& parts);
  Linear(runtime::Context& context, const Checkpoint& checkpoint,
         std::span<const weights::Tensor* const> matrices, Precision precision, bool adds = false,
         std::span<const float> bias = {})
      : Linear(Build(context, checkpoint, precision), {.matrices = matrices, .bias = bias, .adds = adds}) {}

  void operator()(runtime::Stream& stream, runtime::DevicePointer a, runtime::DevicePointer out,
                  std::span<const RowRun> runs, Workspace& workspace) const {
    kernel_->run(stream, a, out, runs, workspace);
  }
  /// The same for rows of which none, or all, belong to prompts.
  void operator()(runtime::Stream& stream, runtime::DevicePointer a, runtime::DevicePointer out, int64_t rows,
                  Workspace& workspace, bool prompt = false) const {
    RowRun all{0, rows, prompt};
    kernel_->run(stream, a, out, {&all, 1}, workspace);
  }

  int64_t n() const { return kernel_->n(); }
  int64_t bytes() const { return kernel_->bytes(); }

 private:
  std::unique_ptr<LinearKernel> kernel_;
};

std::unique_ptr<LinearKernel> make_linear_x86(const Build& build, const LinearParts& parts);
std::unique_ptr<LinearKernel> make_linear_gpu(const Build& build, const LinearParts& parts);

/// Memory of the device holding these values, rounded to `dtype` (f32, bf16 or f16).
runtime::Buffer upload(runtime::Context& context, std::span<const float> values, ir::Type dtype = ir::f32);

/// GPUs: all of these matrices one below the other in the activations' type; `group` > 0: so many rows of
/// each in turn.
SharedBuffer upload_rows(const Build& build, std::span<const weights::Tensor* const> matrices,
                         int64_t group = 0);

/// A vector or small matrix of the checkpoint as floats; checks shape and values as Checkpoint::tensor does.
std::vector<float> floats(const Checkpoint& checkpoint, std::string_view name,
                          std::initializer_list<int64_t> shape);

}  // namespace rose::models
