#include "models/decoder_parts.h"

#include <cmath>
#include <cstring>

#include "weights/dequantize.h"

namespace rose::models {
std::string layer_tensor(int64_t layer, std::string_view name) {
  return fmt::format("model.layers.{}.{}", layer, name);
}

runtime::Buffer norm_weight(const Build& build, const std::string& name, int64_t size, bool add_one) {
  auto values = floats(build.checkpoint, name, {size});
  if (add_one)
    for (float& v : values) v += 1;
  return upload(build.context, values, build.compute.dtype);
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

namespace {

constexpr const char* kTable = "model.embed_tokens.weight";

bool has_tied_head(const Checkpoint& checkpoint, const DecoderConfig& config) {
  return config.tied || !checkpoint.find("lm_head.weight");
}

}  // namespace

TokenEmbedding::TokenEmbedding(const Build& build, const DecoderConfig& config, double scale)
    : checkpoint_(build.checkpoint), table_(nullptr), scale_(static_cast<float>(scale)) {
  if (!build.compute.gpu) {
    // A head that is tied to the table checks its values when it packs them.
    const bool checked_by_head = build.head && has_tied_head(checkpoint_, config);
    table_ = checked_by_head ? &checkpoint_.shaped(kTable, {config.vocab, config.hidden})
                             : &checkpoint_.tensor(kTable, {config.vocab, config.hidden});
    return;
  }
  table_ = &checkpoint_.shaped(kTable, {config.vocab, config.hidden});
  device_table_ = upload_rows(build, std::span(&table_, 1));
  kernels::EmbeddingSpec spec;
  spec.dtype = spec.out_dtype = build.compute.dtype, spec.hidden = config.hidden, spec.scale = scale;
  spec.pdl = true;
  lookup_ = std::make_unique<kernels::Embedding>(build.context, spec);
}

void TokenEmbedding::operator()(StepData& step, runtime::DevicePointer out) {
  if (lookup_)
    return (*lookup_)(step.stream, step.ids, *device_table_, out, step.tokens,
                      static_cast<int64_t>(table_->rows()));
  const size_t hidden = table_->row_elements(), bytes = table_->row_bytes();
  const auto& tokens = step.host_ids;
  rows_.resize(tokens.size() * hidden);
  for (size_t i = 0; i < tokens.size(); ++i)
    weights::dequantize(table_->format, table_->bytes.subspan(static_cast<size_t>(tokens[i]) * bytes, bytes),
                        std::span(rows_).subspan(i * hidden, hidden));
  if (scale_ != 1)
    for (float& v : rows_) v *= scale_;
  step.stream.upload(out, rows_.data(), rows_.size() * sizeof(float));
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

SelfAttention::SelfAttention(const Build& build, const DecoderConfig& c, int64_t layer,
                             const Options& options)
    : layer_(layer) {
  const int64_t q = c.q_heads * c.head_dim, kv = c.kv_heads * c.head_dim;
  auto name = [&](std::string_view part) { return layer_tensor(layer, part); };
  std::vector<const weights::Tensor*> parts;
  std::vector<float> bias;
  if (build.checkpoint.find(name("self_attn.qkv_proj.weight"))) {  // Phi-3: the same rows in one tensor
    parts = {&build.matrix(name("self_attn.qkv_proj.weight"), q + 2 * kv, c.hidden)};
    bias = biases(build.checkpoint, {{name("self_attn.qkv_proj"), q + 2 * kv}});
  } else {
    parts = {&build.matrix(name("self_attn.q_proj.weight"), q, c.hidden),
             &build.matrix(name("self_attn.k_proj.weight"), kv, c.hidden),
             &build.matrix(name("self_attn.v_proj.weight"), kv, c.hidden)};
    bias = biases(
        build.checkpoint,
        {{name("self_attn.q_proj"), q}, {name("self_attn.k_proj"), kv}, {name("self_attn.v_proj"), kv}});
  }
  qkv_ = Linear(build, {.matrices = parts, .bias = bias});
  parts = {&build.matrix(name("self_attn.o_proj.weight"), c.hidden, q)};
  bias = biases(build.checkpoint, {{name("self_attn.o_proj"), c.hidden}});
  output_ = Linear(build, {.matrices = parts, .bias = bias, .adds = options.adds});
  kernels::QkRopeCacheSpec rotate;
  rotate.dtype = rotate.kv_dtype = build.compute.dtype;
  rotate.q_heads = c.q_heads, rotate.kv_heads = c.kv_heads, rotate.head_dim = c.head_dim,
  rotate.rotary_dim = c.rope.rotary_dim;
  rotate.style = c.rope_style, rotate.norm = c.qk_norm, rotate.epsilon = c.epsilon;
  rotate.pdl = build.compute.gpu;
  if (c.qk_norm) {
    q_norm_ = norm_weight(build, name("self_attn.q_norm.weight"), c.head_dim, options.add_one);
    k_norm_ = norm_weight(build, name("self_attn.k_norm.weight"), c.head_dim, options.add_one);
  }
  rotate_ = std::make_unique<kernels::QkRopeCache>(build.context, rotate);
  attention_ = std::make_unique<PagedAttention>(build, c, options.global);
}

void SelfAttention::operator()(StepData& step, RopeTable& rope, KvCache& cache, runtime::DevicePointer h,
                               runtime::DevicePointer out) {
  auto& k = cache.k[static_cast<size_t>(layer_)];
  auto& v = cache.v[static_cast<size_t>(layer_)];
  auto qkv = step.room(step.qkv, qkv_.n());
  qkv_(step.stream, h, qkv, step.runs, step.records);

  kernels::QkRopeCache::Arguments r;
  r.qkv = qkv, r.q_weight = q_norm_, r.k_weight = k_norm_;
  r.positions = step.positions, r.slots = step.slots;
  r.table = rope.table(), r.table_rows = rope.rows();
  r.k_cache = k, r.v_cache = v, r.tokens = step.tokens;
  (*rotate_)(step.stream, r);

  auto attended = step.room(step.attended, qkv_.n());
  (*attention_)(step, qkv, qkv_.n(), k, v, attended);
  output_(step.stream, attended, out, step.runs, step.records);
}

FeedForward::FeedForward(const Build& build, const DecoderConfig& c, int64_t layer, bool adds) {
  auto name = [&](std::string_view part) { return layer_tensor(layer, part); };
  const auto gate = name("mlp.gate_proj"), up = name("mlp.up_proj"), fused = name("mlp.gate_up_proj");
  std::vector<const weights::Tensor*> parts;
  std::vector<float> bias;
  if (!build.checkpoint.find(gate + ".weight") && build.checkpoint.find(fused + ".weight")) {
    // Phi-3: the same rows in one tensor.
    const auto& whole = build.matrix(fused + ".weight", 2 * c.intermediate, c.hidden);
    halves_ = std::make_unique<weights::Tensor[]>(2);
    const auto half = static_cast<uint64_t>(c.intermediate);
    for (uint64_t i = 0; i < 2; ++i) halves_[i] = weights::rows_of(whole, i * half, half);
    parts = {&halves_[0], &halves_[1]};
    bias = biases(build.checkpoint, {{fused, 2 * c.intermediate}});
  } else {
    parts = {&build.matrix(gate + ".weight", c.intermediate, c.hidden),
             &build.matrix(up + ".weight", c.intermediate, c.hidden)};
    bias = biases(build.checkpoint, {{gate, c.intermediate}, {up, c.intermediate}});
  }
  gate_up_ = Linear(build, {.matrices = parts, .bias = bias, .gated = build.compute.gpu ? c.activation : ""});
  parts = {&build.matrix(name("mlp.down_proj.weight"), c.hidden, c.intermediate)};
  bias = biases(build.checkpoint, {{name("mlp.down_proj"), c.hidden}});
  down_ = Linear(build, {.matrices = parts, .bias = bias, .adds = adds});
  if (build.compute.gpu) return;
  kernels::ActivationSpec spec;
  spec.dtype = ir::f32, spec.width = c.intermediate, spec.function = c.activation, spec.form = "packed";
  activation_ = std::make_unique<kernels::ActivationKernel>(build.context, spec);
}

void FeedForward::operator()(StepData& step, runtime::DevicePointer h, runtime::DevicePointer out) {
  auto product = step.room(step.product, activation_ ? gate_up_.n() / 2 : gate_up_.n());
  if (activation_) {
    auto gate_up = step.room(step.gate_up, gate_up_.n());
    gate_up_(step.stream, h, gate_up, step.runs, step.records);
    (*activation_)(step.stream, gate_up, product, step.tokens);
  } else {
    gate_up_(step.stream, h, product, step.runs, step.records);
  }
  down_(step.stream, product, out, step.runs, step.records);
}

OutputHead::Rows::Rows(const Build& build, const DecoderConfig& c, bool add_one, ir::Type out)
    : choose(build.context,
             {.dtype = build.compute.dtype, .out_dtype = out, .hidden = c.hidden, .pdl = build.compute.gpu}),
      norm(build.context,
           {.dtype = out, .hidden = c.hidden, .epsilon = c.epsilon, .pdl = build.compute.gpu}) {
  auto values = floats(build.checkpoint, "model.norm.weight", {c.hidden});
  if (add_one)
    for (float& v : values) v += 1;
  weight = upload(build.context, values, out);
}

OutputHead::OutputHead(const Build& build, const DecoderConfig& c, bool add_one,
                       const TokenEmbedding& embedding)
    : config_(c), rows_(build, c, add_one, build.compute.dtype) {
  if (build.compute.dtype != ir::f32) hidden_ = std::make_unique<Rows>(build, c, add_one, ir::f32);
  if (!build.head) return;
  const bool own = !has_tied_head(build.checkpoint, c);
  const weights::Tensor* parts[] = {&build.matrix(own ? "lm_head.weight" : kTable, c.vocab, c.hidden)};
  projection_.emplace(
      build,
      LinearParts{.matrices = parts, .f32_out = true, .shared = own ? nullptr : embedding.device_table()});
  if (c.final_softcap == 0) return;
  // Elementwise, so rows may be cut into equal pieces of a handy length.
  for (cap_width_ = std::min<int64_t>(c.vocab, 4096); c.vocab % cap_width_; --cap_width_) {
  }
  kernels::ActivationSpec spec;
  spec.dtype = ir::f32, spec.width = cap_width_, spec.function = "tanh", spec.form = "plain",
  spec.cap = c.final_softcap;
  cap_ = std::make_unique<kernels::ActivationKernel>(build.context, spec);
}

void OutputHead::operator()(StepData& step, runtime::DevicePointer x, runtime::DevicePointer out) {
  const int64_t count = step.logit_count;
  if (step.output == StepOutput::kHidden) {
    auto& rows = hidden_ ? *hidden_ : rows_;
    rows.choose(step.stream, step.logit_rows, x, out, count, step.tokens);
    rows.norm(step.stream, out, rows.weight, out, count);
    return;
  }
  if (!projection_) fail("this model was loaded without its output head, which logits need");
  auto chosen = step.chosen.at_least(count * config_.hidden * step.compute.bytes());
  auto from = x;
  if (count != step.tokens) {
    rows_.choose(step.stream, step.logit_rows, x, chosen, count, step.tokens);
    from = chosen;
  }
  rows_.norm(step.stream, from, rows_.weight, chosen, count);
  (*projection_)(step.stream, chosen, out, count, step.records);
  if (cap_) (*cap_)(step.stream, out, out, count*(config_.vocab / cap_width_));
}

}  // namespace rose::models
