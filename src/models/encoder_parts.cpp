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

namespace {

// So many rows a step has at least, so that a text's vectors do not depend on its company. x86: products of
// bf16 take other tiles from 32 rows on where the machine has AMX, and add in another order there. GPUs:
// beyond 256 rows every tile adds in one order (kernels/gemm/gemm.cpp).
int64_t least_rows_of(const Build& build) {
  if (build.compute.gpu) return 264;
  const bool stored = build.checkpoint.tensors().bytes_by_format().contains(weights::Format::kBF16);
  return build.precision == Precision::kBf16 || (build.precision == Precision::kFast && stored) ? 32 : 1;
}

}  // namespace

EncoderData::EncoderData(const Build& build)
    : stream(build.context.stream()),
      compute(build.compute),
      x(build.context),
      h(build.context),
      qkv(build.context),
      attended(build.context),
      inner(build.context),
      product(build.context),
      records(build.context),
      least_rows_(least_rows_of(build)),
      lists_(build.context) {}

void EncoderData::load(const EncoderStep& step, std::span<const int32_t> several_tiles,
                       std::span<const int32_t> single_tiles, std::span<const int32_t> step_places) {
  tokens = std::max(step.count(), least_rows_), sequences = step.texts();
  several_count = static_cast<int64_t>(several_tiles.size() / 2),
  single_count = static_cast<int64_t>(single_tiles.size() / 2);
  const auto rows = static_cast<size_t>(tokens);
  std::vector<int32_t> padded_ids(step.tokens), padded_places(step_places.begin(), step_places.end()), order;
  for (size_t text = 0; text + 1 < step.first_tokens.size(); ++text)
    for (int32_t i = step.first_tokens[text]; i < step.first_tokens[text + 1]; ++i)
      order.push_back(i - step.first_tokens[text]);
  padded_ids.resize(rows), padded_places.resize(rows), order.resize(rows);
  lists_.clear();
  size_t lists[] = {lists_.add(std::span<const int32_t>(padded_ids)),
                    lists_.add(std::span<const int32_t>(padded_places)),
                    lists_.add(std::span<const int32_t>(order)),
                    lists_.add(std::span(step.first_tokens)),
                    lists_.add(several_tiles),
                    lists_.add(single_tiles)};
  lists_.send(stream);
  runtime::DevicePointer* pointers[] = {&ids, &places, &positions, &first_tokens, &several, &single};
  for (size_t i = 0; i < std::size(lists); ++i) *pointers[i] = lists_.at(lists[i]);
}

// ---- norm

namespace {

kernels::LayerNormSpec norm_spec(const Build& build, ir::Type dtype, int64_t size, double epsilon,
                                 bool bias) {
  kernels::LayerNormSpec spec;
  spec.dtype = dtype, spec.hidden = size, spec.epsilon = epsilon, spec.bias = bias;
  spec.pdl = build.compute.gpu;
  return spec;
}

}  // namespace

EncoderNorm::EncoderNorm(const Build& build, const std::string& name, int64_t size, double epsilon, bool bias,
                         std::optional<ir::Type> wanted)
    : norm_(build.context, norm_spec(build, wanted.value_or(build.compute.dtype), size, epsilon, bias)) {
  const auto dtype = wanted.value_or(build.compute.dtype);
  if (build.compute.gpu) {
    auto spec = norm_spec(build, dtype, size, epsilon, bias);
    spec.residual = true;
    adding_.emplace(build.context, spec);
  }
  weight_ = upload(build.context, floats(build.checkpoint, name + ".weight", {size}), dtype);
  if (bias) bias_ = upload(build.context, floats(build.checkpoint, name + ".bias", {size}), dtype);
}

void EncoderNorm::operator()(runtime::Stream& stream, runtime::DevicePointer x, runtime::DevicePointer out,
                             int64_t rows) const {
  kernels::LayerNorm::Arguments a;
  a.x = x, a.weight = weight_, a.bias = bias_, a.out = out, a.rows = rows;
  norm_(stream, a);
}

void EncoderNorm::add(runtime::Stream& stream, runtime::DevicePointer x, runtime::DevicePointer residual,
                      runtime::DevicePointer out, int64_t rows) const {
  kernels::LayerNorm::Arguments a;
  a.x = x, a.residual = residual, a.weight = weight_, a.bias = bias_, a.out = out, a.rows = rows;
  (*adding_)(stream, a);
}

// ---- embedding

EncoderEmbedding::EncoderEmbedding(const Build& build, const EncoderConfig& config, const Names& names)
    : checkpoint_(build.checkpoint),
      config_(config),
      word_(build.compute.gpu ? &checkpoint_.shaped(names.word, {config.vocab, config.hidden})
                              : &checkpoint_.tensor(names.word, {config.vocab, config.hidden})),
      norm_(build, names.norm, config.hidden, config.epsilon, config.norm_bias) {
  if (!names.position.empty())
    position_ = floats(build.checkpoint, names.position, {config.positions, config.hidden});
  if (!names.segment.empty())
    segment_ = floats(build.checkpoint, names.segment, {config.segments, config.hidden});
  if (!build.compute.gpu) return;
  const auto dtype = build.compute.dtype;
  device_word_ = upload_rows(build, std::span(&word_, 1));
  lookup_.emplace(
      build.context,
      kernels::EmbeddingSpec{.dtype = dtype, .out_dtype = dtype, .hidden = config.hidden, .pdl = true});
  if (position_.empty()) return;
  const auto hidden = static_cast<size_t>(config.hidden);
  std::vector<float> sums;
  for (size_t type = 0; type < std::max<size_t>(1, segment_.size() / hidden); ++type)
    for (size_t i = 0; i < position_.size(); ++i)
      sums.push_back(position_[i] + (segment_.empty() ? 0 : segment_[type * hidden + i % hidden]));
  device_places_ = upload(build.context, sums, dtype);
}

std::vector<int32_t> EncoderEmbedding::places(const EncoderStep& step) const {
  std::vector<int32_t> places;
  places.reserve(step.tokens.size());
  for (size_t text = 0; text + 1 < step.first_tokens.size(); ++text) {
    const auto begin = static_cast<size_t>(step.first_tokens[text]),
               end = static_cast<size_t>(step.first_tokens[text + 1]);
    if (end - begin > static_cast<size_t>(config_.max_tokens))
      fail("a text of {} tokens is longer than the model's {}", end - begin, config_.max_tokens);
    int64_t next = config_.first_position;
    for (size_t i = begin; i < end; ++i) {
      const int32_t id = step.tokens[i];
      if (id < 0 || id >= config_.vocab)
        fail("the token {} is beyond the model's {} tokens", id, config_.vocab);
      // Models with one segment have tokenizers that number them nevertheless.
      const int64_t type = config_.segments > 1 ? step.types[i] : 0;
      if (type < 0 || (config_.segments > 1 && type >= config_.segments))
        fail("the segment {} is beyond the model's {}", type, config_.segments);
      const int64_t place = id == config_.padding ? config_.padding : next++;
      places.push_back(static_cast<int32_t>(type * config_.positions + place));
    }
  }
  return places;
}

// The sums of rows on the host.
void EncoderEmbedding::gather(EncoderData& data, const EncoderStep& step, runtime::DevicePointer out) {
  const auto hidden = static_cast<size_t>(config_.hidden);
  rows_.assign(static_cast<size_t>(data.tokens) * hidden, 0);
  auto places = this->places(step);
  for (size_t i = 0; i < step.tokens.size(); ++i) {
    const auto id = static_cast<size_t>(step.tokens[i]);
    auto row = std::span(rows_).subspan(i * hidden, hidden);
    weights::dequantize(word_->format, word_->bytes.subspan(id * word_->row_bytes(), word_->row_bytes()),
                        row);
    if (position_.empty()) continue;
    // The order of the originals: word + segment, then + position.
    const auto place = static_cast<size_t>(places[i] % config_.positions),
               type = static_cast<size_t>(places[i] / config_.positions);
    if (!segment_.empty())
      for (size_t e = 0; e < hidden; ++e) row[e] += segment_[type * hidden + e];
    for (size_t e = 0; e < hidden; ++e) row[e] += position_[place * hidden + e];
  }
  data.stream.upload(out, rows_.data(), rows_.size() * sizeof(float));
}

void EncoderEmbedding::operator()(EncoderData& data, const EncoderStep& step, runtime::DevicePointer out) {
  if (!lookup_) {
    gather(data, step, out);
    return norm_(data.stream, out, out, data.tokens);
  }
  auto& stream = data.stream;
  if (!device_places_) {
    (*lookup_)(stream, data.ids, *device_word_, out, data.tokens, config_.vocab);
    return norm_(stream, out, out, data.tokens);
  }
  auto word = data.room(data.attended, config_.hidden), place = data.room(data.h, config_.hidden);
  (*lookup_)(stream, data.ids, *device_word_, word, data.tokens, config_.vocab);
  (*lookup_)(stream, data.places, device_places_, place, data.tokens,
             config_.positions* std::max<int64_t>(1, config_.segments));
  norm_.add(stream, place, word, out, data.tokens);
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

Linear encoder_linear(const Build& build, const EncoderLinear& parts) {
  std::vector<const weights::Tensor*> matrices;
  std::vector<float> biases;
  for (const auto& stem : parts.stems) {
    matrices.push_back(&build.matrix(stem + ".weight", parts.n, parts.k));
    if (!parts.bias) continue;
    auto values = floats(build.checkpoint, stem + ".bias", {parts.n});
    biases.insert(biases.end(), values.begin(), values.end());
  }
  return Linear(build, {.matrices = matrices,
                        .bias = biases,
                        .adds = parts.adds,
                        .activation = parts.activation,
                        .f32_out = parts.f32_out});
}

EncoderAttention::EncoderAttention(const Build& build, const EncoderConfig& c, int64_t layer,
                                   const Names& names)
    : hidden_(c.hidden) {
  const int64_t stacked = 3 / static_cast<int64_t>(names.qkv.size());
  qkv_ = encoder_linear(
      build, {.stems = names.qkv, .n = stacked * c.hidden, .k = c.hidden, .bias = c.attention_bias});
  output_ = encoder_linear(
      build, {.stems = {names.output}, .n = c.hidden, .k = c.hidden, .bias = c.attention_bias, .adds = true});
  if (c.rope_base > 0) {  // q and k lie side by side and turn together
    kernels::RotarySpec rotary;
    rotary.dtype = build.compute.dtype, rotary.heads = 2 * c.heads, rotary.pdl = build.compute.gpu;
    rotary.head_dim = rotary.rotary_dim = c.head_dim();
    rotate_ = std::make_unique<kernels::Rotary>(build.context, rotary);
  }
  const int64_t window = c.is_local(layer) ? c.window : 0;
  if (build.compute.gpu) {
    kernels::AttentionSm90Spec spec;
    spec.dtype = build.compute.dtype, spec.q_heads = spec.kv_heads = c.heads, spec.head_dim = c.head_dim();
    spec.mask = "full", spec.window = window, spec.pdl = true;
    gpu_ = std::make_unique<kernels::AttentionSm90>(build.context, spec);
  } else {
    kernels::X86AttentionSpec spec;
    spec.q_heads = spec.kv_heads = c.heads, spec.head_dim = c.head_dim(), spec.mask = "full",
    spec.window = window;
    x86_ = std::make_unique<kernels::X86Attention>(build.context, spec);
  }
}

EncoderAttention::Tiles EncoderAttention::tiles(const EncoderStep& step) const {
  if (gpu_) return {gpu_->tiles(step.first_tokens), {}};
  auto tiles = x86_->tiles(step.first_tokens);
  return {std::move(tiles.several), std::move(tiles.single)};
}

void EncoderAttention::operator()(EncoderData& data, const EncoderRope* rope, runtime::DevicePointer h,
                                  runtime::DevicePointer out) const {
  auto qkv = data.room(data.qkv, 3 * hidden_), attended = data.room(data.attended, hidden_);
  qkv_(data.stream, h, qkv, data.tokens, data.records, true);
  if (rotate_) {
    kernels::Rotary::Arguments r;
    r.x = qkv, r.positions = data.positions, r.table = rope->table();
    r.table_rows = rope->rows(), r.tokens = data.tokens, r.x_stride = 3 * hidden_;
    (*rotate_)(data.stream, r);
  }
  attend(data, qkv, attended);
  output_(data.stream, attended, out, data.tokens, data.records, true);
}

void EncoderAttention::attend(EncoderData& data, runtime::DevicePointer qkv,
                              runtime::DevicePointer out) const {
  const int64_t part = hidden_ * data.compute.bytes();
  if (gpu_) {
    kernels::AttentionSm90::Arguments a;
    a.q = qkv, a.k = qkv + part, a.v = qkv + 2 * part, a.out = out;
    a.q_stride = a.kv_stride = 3 * hidden_;
    a.first_queries = data.first_tokens, a.tiles = data.several, a.tile_count = data.several_count;
    a.tokens = data.tokens;
    return (*gpu_)(data.stream, a);
  }
  kernels::X86Attention::Arguments a;
  a.q = qkv, a.k = qkv + part, a.v = qkv + 2 * part, a.out = out;
  a.q_stride = a.kv_stride = 3 * hidden_;
  a.first_queries = data.first_tokens, a.several = data.several, a.single = data.single;
  a.several_count = data.several_count, a.single_count = data.single_count;
  a.tokens = data.tokens, a.sequences = data.sequences;
  (*x86_)(data.stream, a);
}

EncoderFeedForward::EncoderFeedForward(const Build& build, const EncoderConfig& c, const std::string& up,
                                       const std::string& down, bool gated)
    : intermediate_(c.intermediate) {
  const bool gpu = build.compute.gpu;
  if (gpu && gated)
    up_ = make_gated(build, c, up);
  else
    up_ = encoder_linear(build, {.stems = {up},
                                 .n = gated ? 2 * c.intermediate : c.intermediate,
                                 .k = c.hidden,
                                 .bias = c.feed_forward_bias,
                                 .activation = gpu ? c.activation : ""});
  down_ = encoder_linear(
      build,
      {.stems = {down}, .n = c.hidden, .k = c.intermediate, .bias = c.feed_forward_bias, .adds = true});
  if (gpu) return;
  kernels::ActivationSpec spec;
  spec.dtype = ir::f32, spec.width = c.intermediate, spec.function = c.activation;
  spec.form = gated ? "packed" : "plain";
  activation_ = std::make_unique<kernels::ActivationKernel>(build.context, spec);
}

// GPUs take W1 and W2 as two matrices.
Linear EncoderFeedForward::make_gated(const Build& build, const EncoderConfig& c, const std::string& up) {
  const auto& whole = build.matrix(up + ".weight", 2 * c.intermediate, c.hidden);
  halves_ = std::make_unique<weights::Tensor[]>(2);
  const weights::Tensor* parts[2];
  for (size_t i = 0; i < 2; ++i) {
    auto& half = halves_[i] = whole;
    half.shape[0] /= 2, half.elements /= 2;
    half.bytes = whole.bytes.subspan(i * whole.bytes.size() / 2, whole.bytes.size() / 2);
    parts[i] = &half;
  }
  std::vector<float> bias;
  if (c.feed_forward_bias) bias = floats(build.checkpoint, up + ".bias", {2 * c.intermediate});
  return Linear(build, {.matrices = parts, .bias = bias, .gated = c.activation});
}

void EncoderFeedForward::operator()(EncoderData& data, runtime::DevicePointer h,
                                    runtime::DevicePointer out) const {
  auto inner = data.room(data.inner, up_.n()), product = inner;
  up_(data.stream, h, inner, data.tokens, data.records, true);
  if (activation_) {
    if (up_.n() != intermediate_) product = data.room(data.product, intermediate_);
    (*activation_)(data.stream, inner, product, data.tokens);
  }
  down_(data.stream, product, out, data.tokens, data.records, true);
}

}  // namespace rose::models
