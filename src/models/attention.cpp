#include "models/attention.h"

#include "models/preparations.h"

namespace rose::models {

PagedAttention::PagedAttention(const Build& build, const DecoderConfig& c, bool global)
    : context_(&build.context), global_(global), longest_(c.context_length) {
  auto& context = build.context;
  const auto& compute = build.compute;
  const int64_t window = global ? 0 : c.window;
  if (!compute.gpu) {
    // Files of f32 stay f32 unless bf16 is asked for.
    const bool bf16 = build.precision == Precision::kBf16 ||
                      (build.precision == Precision::kFast && build.checkpoint.is_gguf());
    x86_ = std::make_unique<kernels::X86Attention>(context,
                                                   kernels::X86AttentionSpec{.q_heads = c.q_heads,
                                                                             .kv_heads = c.kv_heads,
                                                                             .head_dim = c.head_dim,
                                                                             .window = window,
                                                                             .block_size = compute.block_size,
                                                                             .scale = c.attention_scale,
                                                                             .softcap = c.softcap,
                                                                             .bf16 = bf16});
    return;
  }
  auto& p = prompt_spec_;
  p.dtype = compute.dtype, p.q_heads = c.q_heads, p.kv_heads = c.kv_heads, p.head_dim = c.head_dim;
  p.window = window, p.block_size = compute.block_size, p.scale = c.attention_scale, p.softcap = c.softcap;
  p.pdl = true;
  auto& s = single_spec_;
  s.dtype = compute.dtype, s.q_heads = c.q_heads, s.kv_heads = c.kv_heads, s.head_dim = c.head_dim;
  s.window = window, s.block_size = compute.block_size, s.scale = c.attention_scale, s.softcap = c.softcap;
  s.pdl = true;
  if (!build.preparations) return;
  build.preparations->add("prompts " + kernels::spec_text(p),
                          [&context, p] { kernels::AttentionSm90(context, p); });
  build.preparations->add("single tokens " + kernels::spec_text(s),
                          [&context, s] { kernels::DecodeAttentionSm90(context, s); });
}

const kernels::AttentionSm90& PagedAttention::prompt() const {
  if (!prompt_) prompt_ = std::make_unique<kernels::AttentionSm90>(*context_, prompt_spec_);
  return *prompt_;
}

const kernels::DecodeAttentionSm90& PagedAttention::single() const {
  if (!single_) single_ = std::make_unique<kernels::DecodeAttentionSm90>(*context_, single_spec_);
  return *single_;
}

PagedAttention::Tiles PagedAttention::tiles(const Step& step) const {
  if (x86_) {
    auto tiles = x86_->tiles(step.first_tokens);
    return {std::move(tiles.several), std::move(tiles.single)};
  }
  if (step.count() == step.sequences()) return {};
  return {prompt().tiles(step.first_tokens, step.lengths), {}};
}

void PagedAttention::operator()(StepData& step, runtime::DevicePointer q, int64_t q_stride,
                                runtime::DevicePointer k, runtime::DevicePointer v,
                                runtime::DevicePointer out) const {
  if (x86_)
    on_x86(step, q, q_stride, k, v, out);
  else if (step.one_token_each)
    single_tokens(step, q, q_stride, k, v, out);
  else
    prompts(step, q, q_stride, k, v, out);
}

void PagedAttention::on_x86(StepData& step, runtime::DevicePointer q, int64_t q_stride,
                            runtime::DevicePointer k, runtime::DevicePointer v,
                            runtime::DevicePointer out) const {
  kernels::X86Attention::Arguments a;
  a.q = q, a.q_stride = q_stride, a.k = k, a.v = v, a.out = out;
  a.first_queries = step.first_tokens, a.lengths = step.lengths, a.block_table = step.block_table;
  a.several = step.several, a.single = step.single;
  a.several_count = step.several_count, a.single_count = step.single_count;
  a.tokens = step.tokens, a.sequences = step.sequences, a.table_width = step.table_width;
  (*x86_)(step.stream, a);
}

void PagedAttention::prompts(StepData& step, runtime::DevicePointer q, int64_t q_stride,
                             runtime::DevicePointer k, runtime::DevicePointer v,
                             runtime::DevicePointer out) const {
  kernels::AttentionSm90::Arguments a;
  a.q = q, a.q_stride = q_stride, a.k = k, a.v = v, a.out = out;
  a.first_queries = step.first_tokens, a.lengths = step.lengths, a.block_table = step.block_table;
  a.tiles = step.several, a.tile_count = step.several_count;
  a.tokens = step.tokens, a.table_width = step.table_width;
  prompt()(step.stream, a);
}

void PagedAttention::single_tokens(StepData& step, runtime::DevicePointer q, int64_t q_stride,
                                   runtime::DevicePointer k, runtime::DevicePointer v,
                                   runtime::DevicePointer out) const {
  // Lengths grow from step to step; what depends on the longest is sized once, for all that the block table
  // can name, so that addresses stay.
  const int64_t longest = std::min(longest_, step.table_width * step.compute.block_size);
  auto& plan = step.plans[global_ ? 0 : 1];
  if (!plan.made) {
    single().plan(step.stream, step.lengths, {}, step.sequences,
                  plan.memory.at_least(kernels::DecodeAttentionSm90::plan_bytes(step.sequences)));
    plan.made = true;
  }
  kernels::DecodeAttentionSm90::Arguments a;
  a.q = q, a.q_stride = q_stride, a.k = k, a.v = v, a.out = out;
  a.block_table = step.block_table, a.table_width = step.table_width;
  a.plan = plan.memory.at_least(0), a.sequences = step.sequences, a.longest = longest;
  a.workspace = step.zeroed(step.attention, single().workspace_bytes(step.sequences, longest));
  single()(step.stream, a);
}

}  // namespace rose::models
