#include "models/encoder_parts.h"

#include "weights/dequantize.h"

namespace rose::models {

// ---- configuration

void EncoderFields::fail(const char* key, const std::string& what) const {
  models::fail("{}: {}: {}", checkpoint_.files().config->string(), key, what);
}

int64_t EncoderFields::integer(const char* key, int64_t least, int64_t most) const {
  int64_t value = checkpoint_.integer(key, "");
  if (value < least || value > most)
    fail(key, fmt::format("{} makes no sense; it must be {} to {}", value, least, most));
  return value;
}

int64_t EncoderFields::integer_or(const char* key, int64_t otherwise, int64_t least, int64_t most) const {
  return checkpoint_.find_integer(key, "") ? integer(key, least, most) : otherwise;
}

double EncoderFields::positive(const char* key, double otherwise) const {
  double value = checkpoint_.find_real(key, "").value_or(otherwise);
  if (!(value > 0)) fail(key, fmt::format("{} makes no sense; it must be above 0", value));
  return value;
}

bool EncoderFields::flag(const char* key, bool otherwise) const {
  auto found = checkpoint_.config().find(key);
  if (found == checkpoint_.config().end() || found->is_null()) return otherwise;
  if (!found->is_boolean()) fail(key, "expected true or false");
  return found->get<bool>();
}

std::string EncoderFields::text(const char* key, const std::string& otherwise) const {
  auto found = checkpoint_.config().find(key);
  if (found == checkpoint_.config().end() || found->is_null()) return otherwise;
  if (!found->is_string()) fail(key, "expected a text");
  return found->get<std::string>();
}

std::string EncoderFields::activation(const char* key, const std::string& otherwise) const {
  std::string name = text(key, otherwise);
  if (name == "gelu") return "gelu_erf";
  if (name == "gelu_new" || name == "gelu_pytorch_tanh") return "gelu_tanh";
  if (name == "swish") return "silu";
  if (name == "relu" || name == "silu" || name == "tanh" || name == "sigmoid") return name;
  fail(key, fmt::format("'{}' is not supported; use gelu, gelu_new, relu, silu, tanh or sigmoid", name));
}

// ---- a step's data

EncoderData::EncoderData(runtime::Context& c)
    : stream(c.stream()),
      x(c),
      h(c),
      qkv(c),
      attended(c),
      inner(c),
      product(c),
      records(c),
      positions(c),
      first_tokens(c),
      several(c),
      single(c) {}

runtime::DevicePointer EncoderData::put(Workspace& workspace, const std::vector<int32_t>& values) {
  auto bytes = static_cast<int64_t>(values.size() * 4);
  auto at = workspace.at_least(bytes);
  if (bytes) stream.upload(at, values.data(), static_cast<size_t>(bytes));
  return at;
}

// ---- norm

EncoderNorm::EncoderNorm(runtime::Context& context, const Checkpoint& checkpoint, const std::string& name,
                         int64_t size, double epsilon, bool bias)
    : norm_(context, {.dtype = ir::f32, .hidden = size, .epsilon = epsilon, .bias = bias}),
      weight_(upload(context, floats(checkpoint, name + ".weight", {size}))) {
  if (bias) bias_ = upload(context, floats(checkpoint, name + ".bias", {size}));
}

void EncoderNorm::operator()(runtime::Stream& stream, runtime::DevicePointer x, runtime::DevicePointer out,
                             int64_t rows) const {
  kernels::LayerNorm::Arguments a;
  a.x = x, a.weight = weight_, a.bias = bias_, a.out = out, a.rows = rows;
  norm_(stream, a);
}

// ---- embedding

EncoderEmbedding::EncoderEmbedding(const Checkpoint& checkpoint, const EncoderConfig& config,
                                   const std::string& word, const std::string& position,
                                   const std::string& segment)
    : checkpoint_(checkpoint),
      config_(config),
      word_(&checkpoint_.tensor(word, {config.vocab, config.hidden})) {
  if (!position.empty()) position_ = floats(checkpoint, position, {config.positions, config.hidden});
  if (!segment.empty()) segment_ = floats(checkpoint, segment, {config.segments, config.hidden});
}

void EncoderEmbedding::operator()(runtime::Stream& stream, const EncoderStep& step,
                                  runtime::DevicePointer out) {
  const auto hidden = static_cast<size_t>(config_.hidden);
  rows_.resize(step.tokens.size() * hidden);
  for (size_t text = 0; text + 1 < step.first_tokens.size(); ++text) {
    const auto begin = static_cast<size_t>(step.first_tokens[text]),
               end = static_cast<size_t>(step.first_tokens[text + 1]);
    if (end - begin > static_cast<size_t>(config_.max_tokens))
      fail("a text of {} tokens is longer than the model's {}", end - begin, config_.max_tokens);
    int64_t place = config_.first_position;
    for (size_t i = begin; i < end; ++i) {
      const auto id = static_cast<uint64_t>(static_cast<uint32_t>(step.tokens[i]));
      if (id >= word_->rows()) fail("the token {} is beyond the model's {} tokens", id, word_->rows());
      auto row = std::span(rows_).subspan(i * hidden, hidden);
      weights::dequantize(word_->format, word_->bytes.subspan(id * word_->row_bytes(), word_->row_bytes()),
                          row);
      // The order of the originals: word + segment, then + position.
      if (!segment_.empty()) {
        // Models with one segment have tokenizers that number them nevertheless.
        const auto type =
            config_.segments == 1 ? 0 : static_cast<size_t>(static_cast<uint32_t>(step.types[i]));
        if (type >= static_cast<size_t>(config_.segments))
          fail("the segment {} is beyond the model's {}", type, config_.segments);
        for (size_t e = 0; e < hidden; ++e) row[e] += segment_[type * hidden + e];
      }
      if (position_.empty()) continue;
      const bool padding = step.tokens[i] == config_.padding;
      const auto at = static_cast<size_t>(padding ? config_.padding : place++);
      for (size_t e = 0; e < hidden; ++e) row[e] += position_[at * hidden + e];
    }
  }
  stream.upload(out, rows_.data(), rows_.size() * sizeof(float));
}

// ---- rotations

void EncoderRope::prepare(int64_t positions) {
  if (positions <= rows_) return;
  int64_t rows = std::max<int64_t>(512, rows_);
  while (rows < positions) rows *= 2;
  context_->stream().synchronize();  // what is queued may read the old table
  table_ = upload(*context_, kernels::rope_table(parameters_, rows));
  rows_ = rows;
}

// ---- matrices

Linear encoder_linear(runtime::Context& context, const Checkpoint& checkpoint,
                      const std::vector<std::string>& stems, int64_t n, int64_t k, Precision precision,
                      bool adds, bool bias) {
  std::vector<const weights::Tensor*> parts;
  std::vector<float> biases;
  for (const auto& stem : stems) {
    parts.push_back(&checkpoint.tensor(stem + ".weight", {n, k}));
    if (!bias) continue;
    auto values = floats(checkpoint, stem + ".bias", {n});
    biases.insert(biases.end(), values.begin(), values.end());
  }
  return Linear(context, checkpoint, parts, precision, adds, biases);
}

EncoderAttention::EncoderAttention(runtime::Context& context, const Checkpoint& checkpoint,
                                   const EncoderConfig& c, int64_t layer, const Names& names,
                                   Precision precision)
    : hidden_(c.hidden) {
  int64_t stacked = 3 / static_cast<int64_t>(names.qkv.size());
  qkv_ = encoder_linear(context, checkpoint, names.qkv, stacked * c.hidden, c.hidden, precision, false,
                        c.attention_bias);
  output_ = encoder_linear(context, checkpoint, {names.output}, c.hidden, c.hidden, precision, true,
                           c.attention_bias);
  if (c.rope_base > 0)  // q and k lie side by side and turn together
    rotate_ = std::make_unique<kernels::Rotary>(
        context,
        kernels::RotarySpec{
            .dtype = ir::f32, .heads = 2 * c.heads, .head_dim = c.head_dim(), .rotary_dim = c.head_dim()});
  kernels::X86AttentionSpec attention;
  attention.q_heads = attention.kv_heads = c.heads, attention.head_dim = c.head_dim(),
  attention.mask = "full";
  attention.window = c.is_local(layer) ? c.window : 0;
  attention_ = std::make_unique<kernels::X86Attention>(context, attention);
}

void EncoderAttention::prepare(EncoderData& data, const EncoderStep& step) const {
  data.tokens = step.count(), data.sequences = step.texts();
  auto tiles = attention_->tiles(step.first_tokens);
  data.put(data.first_tokens, step.first_tokens);
  data.put(data.several, tiles.several), data.put(data.single, tiles.single);
  data.several_count = static_cast<int64_t>(tiles.several.size() / 2),
  data.single_count = static_cast<int64_t>(tiles.single.size() / 2);
  if (!rotate_) return;
  std::vector<int32_t> positions;
  for (size_t text = 0; text + 1 < step.first_tokens.size(); ++text)
    for (int32_t i = step.first_tokens[text]; i < step.first_tokens[text + 1]; ++i)
      positions.push_back(i - step.first_tokens[text]);
  data.put(data.positions, positions);
}

void EncoderAttention::operator()(EncoderData& data, const EncoderRope* rope, runtime::DevicePointer h,
                                  runtime::DevicePointer out) const {
  auto qkv = data.room(data.qkv, 3 * hidden_), attended = data.room(data.attended, hidden_);
  qkv_(data.stream, h, qkv, data.tokens, data.records, true);
  if (rotate_) {
    kernels::Rotary::Arguments r;
    r.x = qkv, r.positions = data.positions.at_least(0), r.table = rope->table();
    r.table_rows = rope->rows(), r.tokens = data.tokens, r.x_stride = 3 * hidden_;
    (*rotate_)(data.stream, r);
  }
  kernels::X86Attention::Arguments a;
  a.q = qkv, a.k = qkv + hidden_ * 4, a.v = qkv + 2 * hidden_ * 4, a.out = attended;
  a.q_stride = a.kv_stride = 3 * hidden_;
  a.first_queries = data.first_tokens.at_least(0);
  a.several = data.several.at_least(0), a.single = data.single.at_least(0);
  a.several_count = data.several_count, a.single_count = data.single_count;
  a.tokens = data.tokens, a.sequences = data.sequences;
  (*attention_)(data.stream, a);
  output_(data.stream, attended, out, data.tokens, data.records, true);
}

EncoderFeedForward::EncoderFeedForward(runtime::Context& context, const Checkpoint& checkpoint,
                                       const EncoderConfig& c, const std::string& up, const std::string& down,
                                       bool gated, Precision precision)
    : gated_(gated),
      up_(encoder_linear(context, checkpoint, {up}, gated ? 2 * c.intermediate : c.intermediate, c.hidden,
                         precision, false, c.feed_forward_bias)),
      down_(encoder_linear(context, checkpoint, {down}, c.hidden, c.intermediate, precision, true,
                           c.feed_forward_bias)) {
  kernels::ActivationSpec spec;
  spec.dtype = ir::f32, spec.width = c.intermediate, spec.function = c.activation;
  spec.form = gated ? "packed" : "plain";
  activation_ = std::make_unique<kernels::ActivationKernel>(context, spec);
}

void EncoderFeedForward::operator()(EncoderData& data, runtime::DevicePointer h,
                                    runtime::DevicePointer out) const {
  auto inner = data.room(data.inner, up_.n()), product = inner;
  if (gated_) product = data.room(data.product, up_.n() / 2);
  up_(data.stream, h, inner, data.tokens, data.records, true);
  (*activation_)(data.stream, inner, product, data.tokens);
  down_(data.stream, product, out, data.tokens, data.records, true);
}

}  // namespace rose::models
