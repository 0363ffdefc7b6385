// Attention of a decoder's layer over the paged cache, by the kernels of the device.
#pragma once

#include "kernels/attention/sm90_attention.h"
#include "kernels/attention/x86_attention.h"
#include "models/step_data.h"

namespace rose::models {

class PagedAttention {
 public:
  PagedAttention(const Build& build, const DecoderConfig& config, bool global);

  /// The tiles of a step's launches, for StepData::load; the same for all layers of a model.
  struct Tiles {
    std::vector<int32_t> several, single;
  };
  Tiles tiles(const Step& step) const;

  /// q: [tokens, q_heads, head_dim], tokens q_stride elements apart; k, v: the layer's cache; out: [tokens,
  /// q_heads, head_dim].
  void operator()(StepData& step, runtime::DevicePointer q, int64_t q_stride, runtime::DevicePointer k,
                  runtime::DevicePointer v, runtime::DevicePointer out) const;

 private:
  void on_x86(StepData& step, runtime::DevicePointer q, int64_t q_stride, runtime::DevicePointer k,
              runtime::DevicePointer v, runtime::DevicePointer out) const;
  void prompts(StepData& step, runtime::DevicePointer q, int64_t q_stride, runtime::DevicePointer k,
               runtime::DevicePointer v, runtime::DevicePointer out) const;
  void single_tokens(StepData& step, runtime::DevicePointer q, int64_t q_stride, runtime::DevicePointer k,
                     runtime::DevicePointer v, runtime::DevicePointer out) const;

  const kernels::AttentionSm90& prompt() const;
  const kernels::DecodeAttentionSm90& single() const;

  runtime::Context* context_;
  bool global_;
  int64_t longest_;  // keys of a sequence at most
  std::unique_ptr<kernels::X86Attention> x86_;
  // GPUs: made when first needed, so that compiling ahead (Build::preparations) does not hold up the caller.
  kernels::AttentionSm90Spec prompt_spec_;
  kernels::DecodeAttentionSm90Spec single_spec_;
  mutable std::unique_ptr<kernels::AttentionSm90> prompt_;
  mutable std::unique_ptr<kernels::DecodeAttentionSm90> single_;
};

}  // namespace rose::models
