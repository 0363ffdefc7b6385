// A linear layer on x86: weights in whatever format the checkpoint has, packed once for the matrix product.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "kernels/gemm/x86_gemm.h"
#include "models/checkpoint.h"

namespace rose::models {

/// How matrix products are computed.
enum class Precision {
  kExact,  // f32 activations, weights expanded to f32: what the checkpoint means
  kFast,   // quantised weights meet activations quantised to 8 bits, bf16 weights meet bf16 activations
  kBf16,   // weights and activations are rounded to bf16, sums are f32
};

/// Memory on the device that grows to what is asked for and is used again.
class Workspace {
 public:
  explicit Workspace(runtime::Context& context) : context_(&context) {}
  runtime::DevicePointer at_least(int64_t bytes) {
    if (static_cast<int64_t>(buffer_.bytes()) < bytes) {
      buffer_.reset();
      buffer_ = context_->device().allocate(static_cast<size_t>(bytes));
    }
    return buffer_;
  }

 private:
  runtime::Context* context_;
  runtime::Buffer buffer_;
};

/// out[rows, n] = a[rows, k]·Wᵀ (+ bias), or out += …, all f32.
class Linear {
 public:
  Linear() = default;
  /// The rows of several matrices [n_i, k] one below the other. Matrices of different formats become Q8_0
  /// where that keeps every value (Q4_0, Q5_0, Q8_0), else f32. `bias` holds n values or none. `adds`: out +=
  /// the product.
  Linear(runtime::Context& context, const Checkpoint& checkpoint,
         std::span<const weights::Tensor* const> parts, Precision precision, bool adds = false,
         std::span<const float> bias = {});

  void operator()(runtime::Stream& stream, runtime::DevicePointer a, runtime::DevicePointer out, int64_t rows,
                  Workspace& workspace) const;

  int64_t n() const { return gemm_->spec().n; }
  int64_t bytes() const { return static_cast<int64_t>(packed_.bytes()); }

 private:
  std::unique_ptr<kernels::X86Gemm> gemm_;
  runtime::Buffer packed_, bias_;
};

/// Memory of the device holding these floats.
runtime::Buffer upload(runtime::Context& context, std::span<const float> values);

/// A vector or small matrix of the checkpoint as floats; checks shape and values as Checkpoint::tensor does.
std::vector<float> floats(const Checkpoint& checkpoint, std::string_view name,
                          std::initializer_list<int64_t> shape);

}  // namespace rose::models
