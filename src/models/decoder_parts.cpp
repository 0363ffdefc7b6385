#include "models/decoder_parts.h"

#include <cmath>
#include <cstring>

#include "weights/dequantize.h"

namespace rose::models {
namespace {

template <typename T>
void put(runtime::Stream& stream, Workspace& workspace, const std::vector<T>& values) {
  auto bytes = static_cast<int64_t>(values.size() * sizeof(T));
  if (bytes) stream.upload(workspace.at_least(bytes), values.data(), static_cast<size_t>(bytes));
}

}  // namespace

std::string layer_tensor(int64_t layer, std::string_view name) {
  return fmt::format("model.layers.{}.{}", layer, name);
}

runtime::Buffer norm_weight(runtime::Context& context, const Checkpoint& checkpoint, const std::string& name,
                            int64_t size, bool add_one) {
  auto values = floats(checkpoint, name, {size});
  if (add_one)
    for (float& v : values) v += 1;
  return upload(context, values);
}

StepData::StepData(runtime::Context& c, const DecoderConfig& config)
    : context(c),
      stream(c.stream()),
      x(c),
      h(c),
      qkv(c),
      attended(c),
      gate_up(c),
      product(c),
      records(c),
      positions(c),
      slots(c),
      first_tokens(c),
      lengths(c),
      block_table(c),
      several(c),
      single(c),
      config_(config) {}

void StepData::load(const Step& step, const kernels::X86Attention& attention,
                    const std::vector<int32_t>& rope_places) {
  tokens = step.count(), sequences = step.sequences(), table_width = step.table_width;
  auto tiles = attention.tiles(step.first_tokens);
  several_count = static_cast<int64_t>(tiles.several.size() / 2),
  single_count = static_cast<int64_t>(tiles.single.size() / 2);
  put(stream, positions, rope_places), put(stream, slots, step.slots),
      put(stream, first_tokens, step.first_tokens);
  put(stream, lengths, step.lengths), put(stream, block_table, step.block_table);
  put(stream, several, tiles.several), put(stream, single, tiles.single);
}

void RopeTable::prepare(const Step& step) {
  int64_t most = 1;
  for (int32_t length : step.lengths) most = std::max<int64_t>(most, length);
  if (most <= positions_) return;
  positions_ = std::max<int64_t>(512, positions_);
  while (positions_ < most) positions_ *= 2;
  auto table = kernels::rope_table(usual_, positions_);
  if (switch_) {
    auto beyond = kernels::rope_table(beyond_, positions_);
    table.insert(table.end(), beyond.begin(), beyond.end());
  }
  table_ = upload(*context_, table);
}

std::vector<int32_t> RopeTable::places(const Step& step) const {
  auto places = step.positions;
  if (switch_ == 0) return places;
  const auto& known = step.known.empty() ? step.lengths : step.known;
  for (size_t s = 0; s < known.size(); ++s)
    if (known[s] > switch_)
      for (auto t = step.first_tokens[s]; t < step.first_tokens[s + 1]; ++t)
        places[static_cast<size_t>(t)] += static_cast<int32_t>(positions_);
  return places;
}

TokenEmbedding::TokenEmbedding(const Checkpoint& checkpoint, const DecoderConfig& config, float scale)
    : checkpoint_(checkpoint), table_(nullptr), scale_(scale) {
  table_ = &checkpoint_.tensor("model.embed_tokens.weight", {config.vocab, config.hidden});
}

void TokenEmbedding::operator()(runtime::Stream& stream, const std::vector<int32_t>& tokens,
                                runtime::DevicePointer out) {
  const size_t hidden = table_->row_elements(), bytes = table_->row_bytes();
  rows_.resize(tokens.size() * hidden);
  for (size_t i = 0; i < tokens.size(); ++i) {
    auto id = static_cast<uint64_t>(static_cast<uint32_t>(tokens[i]));
    if (id >= table_->rows()) fail("the token {} is beyond the model's {} tokens", id, table_->rows());
    weights::dequantize(table_->format, table_->bytes.subspan(id * bytes, bytes),
                        std::span(rows_).subspan(i * hidden, hidden));
  }
  if (scale_ != 1)
    for (float& v : rows_) v *= scale_;
  stream.upload(out, rows_.data(), rows_.size() * sizeof(float));
}

namespace {

// The biases of some matrices, one after the other, zeros where only others have one; none when no matrix has
// one.
std::vector<float> biases(const Checkpoint& checkpoint,
                          const std::vector<std::pair<std::string, int64_t>>& matrices) {
  std::vector<float> all;
  bool any = false;
  for (const auto& [stem, size] : matrices) {
    if (!checkpoint.find(stem + ".bias")) {
      all.resize(all.size() + static_cast<size_t>(size), 0);
      continue;
    }
    auto values = floats(checkpoint, stem + ".bias", {size});
    all.insert(all.end(), values.begin(), values.end());
    any = true;
  }
  return any ? all : std::vector<float>{};
}

}  // namespace

SelfAttention::SelfAttention(runtime::Context& context, const Checkpoint& checkpoint, const DecoderConfig& c,
                             int64_t layer, Precision precision, const Options& options)
    : layer_(layer) {
  const int64_t q = c.q_heads * c.head_dim, kv = c.kv_heads * c.head_dim;
  auto name = [&](std::string_view part) { return layer_tensor(layer, part); };
  if (checkpoint.find(name("self_attn.qkv_proj.weight"))) {  // Phi-3: the same rows in one tensor
    const weights::Tensor* whole[] = {
        &checkpoint.tensor(name("self_attn.qkv_proj.weight"), {q + 2 * kv, c.hidden})};
    qkv_ = Linear(context, checkpoint, whole, precision, false,
                  biases(checkpoint, {{name("self_attn.qkv_proj"), q + 2 * kv}}));
  } else {
    const weights::Tensor* parts[] = {&checkpoint.tensor(name("self_attn.q_proj.weight"), {q, c.hidden}),
                                      &checkpoint.tensor(name("self_attn.k_proj.weight"), {kv, c.hidden}),
                                      &checkpoint.tensor(name("self_attn.v_proj.weight"), {kv, c.hidden})};
    qkv_ = Linear(context, checkpoint, parts, precision, false,
                  biases(checkpoint, {{name("self_attn.q_proj"), q},
                                      {name("self_attn.k_proj"), kv},
                                      {name("self_attn.v_proj"), kv}}));
  }
  const weights::Tensor* output[] = {&checkpoint.tensor(name("self_attn.o_proj.weight"), {c.hidden, q})};
  output_ = Linear(context, checkpoint, output, precision, options.adds,
                   biases(checkpoint, {{name("self_attn.o_proj"), c.hidden}}));
  kernels::QkRopeCacheSpec rotate;
  rotate.dtype = ir::f32, rotate.kv_dtype = ir::f32;
  rotate.q_heads = c.q_heads, rotate.kv_heads = c.kv_heads, rotate.head_dim = c.head_dim,
  rotate.rotary_dim = c.rope.rotary_dim;
  rotate.style = c.rope_style, rotate.norm = c.qk_norm, rotate.epsilon = c.epsilon;
  if (c.qk_norm) {
    q_norm_ = norm_weight(context, checkpoint, name("self_attn.q_norm.weight"), c.head_dim, options.add_one);
    k_norm_ = norm_weight(context, checkpoint, name("self_attn.k_norm.weight"), c.head_dim, options.add_one);
  }
  rotate_ = std::make_unique<kernels::QkRopeCache>(context, rotate);
  kernels::X86AttentionSpec attention;
  attention.q_heads = c.q_heads, attention.kv_heads = c.kv_heads, attention.head_dim = c.head_dim,
  attention.block_size = 32;
  attention.window = options.global ? 0 : c.window, attention.scale = c.attention_scale,
  attention.softcap = c.softcap;
  attention_ = std::make_unique<kernels::X86Attention>(context, attention);
}

void SelfAttention::operator()(StepData& step, RopeTable& rope, KvCache& cache, runtime::DevicePointer h,
                               runtime::DevicePointer out) {
  auto& k = cache.k[static_cast<size_t>(layer_)];
  auto& v = cache.v[static_cast<size_t>(layer_)];
  auto qkv = step.room(step.qkv, qkv_.n());
  qkv_(step.stream, h, qkv, step.tokens, step.records);

  kernels::QkRopeCache::Arguments r;
  r.qkv = qkv, r.q_weight = q_norm_, r.k_weight = k_norm_;
  r.positions = step.positions.at_least(0), r.slots = step.slots.at_least(0);
  r.table = rope.table(), r.table_rows = rope.rows();
  r.k_cache = k, r.v_cache = v, r.tokens = step.tokens;
  (*rotate_)(step.stream, r);

  kernels::X86Attention::Arguments a;
  a.q = qkv, a.q_stride = qkv_.n(), a.k = k, a.v = v,
  a.out = step.attended.at_least(step.tokens * qkv_.n() * 4);
  a.first_queries = step.first_tokens.at_least(0), a.lengths = step.lengths.at_least(0),
  a.block_table = step.block_table.at_least(0);
  a.several = step.several.at_least(0), a.single = step.single.at_least(0);
  a.several_count = step.several_count, a.single_count = step.single_count;
  a.tokens = step.tokens, a.sequences = step.sequences, a.table_width = step.table_width;
  (*attention_)(step.stream, a);
  output_(step.stream, a.out, out, step.tokens, step.records);
}

FeedForward::FeedForward(runtime::Context& context, const Checkpoint& checkpoint, const DecoderConfig& c,
                         int64_t layer, Precision precision, bool adds) {
  auto name = [&](std::string_view part) { return layer_tensor(layer, part); };
  const auto gate = name("mlp.gate_proj"), up = name("mlp.up_proj"), fused = name("mlp.gate_up_proj");
  if (!checkpoint.find(gate + ".weight") && checkpoint.find(fused + ".weight")) {  // Phi-3: the same rows
    const weights::Tensor* whole[] = {&checkpoint.tensor(fused + ".weight", {2 * c.intermediate, c.hidden})};
    gate_up_ = Linear(context, checkpoint, whole, precision, false,
                      biases(checkpoint, {{fused, 2 * c.intermediate}}));
  } else {
    const weights::Tensor* both[] = {&checkpoint.tensor(gate + ".weight", {c.intermediate, c.hidden}),
                                     &checkpoint.tensor(up + ".weight", {c.intermediate, c.hidden})};
    gate_up_ = Linear(context, checkpoint, both, precision, false,
                      biases(checkpoint, {{gate, c.intermediate}, {up, c.intermediate}}));
  }
  const weights::Tensor* down[] = {
      &checkpoint.tensor(name("mlp.down_proj.weight"), {c.hidden, c.intermediate})};
  down_ = Linear(context, checkpoint, down, precision, adds,
                 biases(checkpoint, {{name("mlp.down_proj"), c.hidden}}));
  kernels::ActivationSpec spec;
  spec.dtype = ir::f32, spec.width = c.intermediate, spec.function = c.activation, spec.form = "packed";
  activation_ = std::make_unique<kernels::ActivationKernel>(context, spec);
}

void FeedForward::operator()(StepData& step, runtime::DevicePointer h, runtime::DevicePointer out) {
  auto gate_up = step.room(step.gate_up, gate_up_.n()), product = step.room(step.product, gate_up_.n() / 2);
  gate_up_(step.stream, h, gate_up, step.tokens, step.records);
  (*activation_)(step.stream, gate_up, product, step.tokens);
  down_(step.stream, product, out, step.tokens, step.records);
}

OutputHead::OutputHead(runtime::Context& context, const Checkpoint& checkpoint, const DecoderConfig& c,
                       const DecoderOptions& options, bool add_one)
    : config_(c),
      norm_weight_(norm_weight(context, checkpoint, "model.norm.weight", c.hidden, add_one)),
      norm_(context, {.dtype = ir::f32, .hidden = c.hidden, .epsilon = c.epsilon}),
      chosen_(context) {
  if (!options.head) return;
  const bool own = !c.tied && checkpoint.find("lm_head.weight");
  const weights::Tensor* parts[] = {
      &checkpoint.tensor(own ? "lm_head.weight" : "model.embed_tokens.weight", {c.vocab, c.hidden})};
  projection_.emplace(context, checkpoint, parts, options.precision);
  if (c.final_softcap == 0) return;
  // Elementwise, so rows may be cut into equal pieces of a handy length.
  for (cap_width_ = std::min<int64_t>(c.vocab, 4096); c.vocab % cap_width_; --cap_width_) {
  }
  kernels::ActivationSpec spec;
  spec.dtype = ir::f32, spec.width = cap_width_, spec.function = "tanh", spec.form = "plain",
  spec.cap = c.final_softcap;
  cap_ = std::make_unique<kernels::ActivationKernel>(context, spec);
}

void OutputHead::operator()(StepData& data, const Step& step, runtime::DevicePointer x,
                            runtime::DevicePointer out) {
  const int64_t bytes = config_.hidden * 4;
  const bool hidden = step.output == StepOutput::kHidden;
  if (!hidden && !projection_) fail("this model was loaded without its output head, which logits need");
  auto count = static_cast<int64_t>(step.logit_rows.size());
  auto chosen = hidden ? out : chosen_.at_least(count * bytes);
  for (int64_t i = 0; i < count; ++i)
    data.stream.copy(chosen + i * bytes, x + step.logit_rows[static_cast<size_t>(i)] * bytes,
                     static_cast<size_t>(bytes));
  norm_(data.stream, chosen, norm_weight_, chosen, count);
  if (hidden) return;
  (*projection_)(data.stream, chosen, out, count, data.records);
  if (cap_) (*cap_)(data.stream, out, out, count*(config_.vocab / cap_width_));
}

}  // namespace rose::models
