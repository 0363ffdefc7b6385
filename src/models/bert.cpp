// BERT (Devlin et al., 2019): post-norm blocks of attention over all tokens and a feed-forward part.
//
//   x = layernorm(word[token] + position[place] + segment[type])
//   for each layer:  x = layernorm(x + Wo·attention(Wqkv·x + b) + b)
//                    x = layernorm(x + Wdown·gelu(Wup·x + b) + b)
#include "models/bert.h"

#include "kernels/activation/activation.h"
#include "kernels/attention/x86_attention.h"
#include "kernels/norm/layer_norm.h"
#include "weights/dequantize.h"

namespace rose::models {
namespace {

struct Norm {
  runtime::Buffer weight, bias;
};

class Bert : public Encoder {
 public:
  Bert(runtime::Context& context, const Checkpoint& checkpoint, EncoderConfig config, Precision precision)
      : Encoder(std::move(config)),
        context_(context),
        stream_(context.stream()),
        checkpoint_(checkpoint),
        norm_(context, {.dtype = ir::f32, .hidden = config_.hidden, .epsilon = config_.epsilon}),
        activation_(context, {.dtype = ir::f32,
                              .width = config_.intermediate,
                              .function = config_.activation,
                              .form = "plain"}),
        attention_(context, {.q_heads = config_.heads,
                             .kv_heads = config_.heads,
                             .head_dim = config_.hidden / config_.heads,
                             .mask = "full"}),
        x_(context),
        qkv_(context),
        attended_(context),
        inner_(context),
        records_(context),
        first_(context),
        several_(context),
        single_(context) {
    const int64_t h = config_.hidden, f = config_.intermediate;
    word_ = &checkpoint_.tensor("embeddings.word_embeddings.weight", {config_.vocab, h});
    position_ = floats(checkpoint, "embeddings.position_embeddings.weight", {config_.positions, h});
    segment_ = floats(checkpoint, "embeddings.token_type_embeddings.weight", {config_.segments, h});
    embedding_norm_ = norm("embeddings.LayerNorm");
    for (int64_t i = 0; i < config_.layers; ++i) {
      std::string layer = fmt::format("encoder.layer.{}.", i), self = layer + "attention.self.";
      layers_.push_back({linear({self + "query", self + "key", self + "value"}, h, h, precision, false),
                         linear({layer + "attention.output.dense"}, h, h, precision, true),
                         linear({layer + "intermediate.dense"}, f, h, precision, false),
                         linear({layer + "output.dense"}, h, f, precision, true),
                         norm(layer + "attention.output.LayerNorm"), norm(layer + "output.LayerNorm")});
    }
  }

  int64_t weight_bytes() const override {
    int64_t bytes = 0;
    for (const auto& l : layers_) bytes += l.qkv.bytes() + l.output.bytes() + l.up.bytes() + l.down.bytes();
    return bytes;
  }

  std::vector<float> forward(const EncoderStep& step) override {
    auto tokens = static_cast<int64_t>(step.tokens.size()), hidden = config_.hidden;
    std::vector<float> rows = embed(step);
    auto x = x_.at_least(tokens * hidden * 4), qkv = qkv_.at_least(tokens * 3 * hidden * 4);
    auto attended = attended_.at_least(tokens * hidden * 4),
         inner = inner_.at_least(tokens * config_.intermediate * 4);
    stream_.upload(x, rows.data(), rows.size() * 4);

    auto tiles = attention_.tiles(step.first_tokens);
    kernels::X86Attention::Arguments a;
    a.q = qkv, a.k = qkv + hidden * 4, a.v = qkv + 2 * hidden * 4, a.q_stride = a.kv_stride = 3 * hidden,
    a.out = attended;
    a.first_queries = put(first_, step.first_tokens), a.several = put(several_, tiles.several),
    a.single = put(single_, tiles.single);
    a.several_count = static_cast<int64_t>(tiles.several.size() / 2),
    a.single_count = static_cast<int64_t>(tiles.single.size() / 2);
    a.tokens = tokens, a.sequences = static_cast<int64_t>(step.first_tokens.size()) - 1;

    apply(embedding_norm_, x, tokens);
    for (auto& layer : layers_) {
      layer.qkv(stream_, x, qkv, tokens, records_);
      attention_(stream_, a);
      layer.output(stream_, attended, x, tokens, records_);
      apply(layer.attention_norm, x, tokens);
      layer.up(stream_, x, inner, tokens, records_);
      activation_(stream_, inner, inner, tokens);
      layer.down(stream_, inner, x, tokens, records_);
      apply(layer.output_norm, x, tokens);
    }
    stream_.download(rows.data(), x, rows.size() * 4);
    stream_.synchronize();
    return rows;
  }

 private:
  struct Layer {
    Linear qkv, output, up, down;
    Norm attention_norm, output_norm;
  };

  Norm norm(const std::string& name) {
    return {upload(context_, floats(checkpoint_, name + ".weight", {config_.hidden})),
            upload(context_, floats(checkpoint_, name + ".bias", {config_.hidden}))};
  }

  Linear linear(const std::vector<std::string>& names, int64_t n, int64_t k, Precision precision, bool adds) {
    std::vector<const weights::Tensor*> parts;
    std::vector<float> bias;
    for (const auto& name : names) {
      parts.push_back(&checkpoint_.tensor(name + ".weight", {n, k}));
      auto values = floats(checkpoint_, name + ".bias", {n});
      bias.insert(bias.end(), values.begin(), values.end());
    }
    return Linear(context_, checkpoint_, parts, precision, adds, bias);
  }

  void apply(const Norm& norm, runtime::DevicePointer x, int64_t rows) {
    kernels::LayerNorm::Arguments a;
    a.x = x, a.weight = norm.weight, a.bias = norm.bias, a.out = x, a.rows = rows;
    norm_(stream_, a);
  }

  runtime::DevicePointer put(Workspace& workspace, const std::vector<int32_t>& values) {
    auto bytes = static_cast<int64_t>(values.size() * 4);
    auto at = workspace.at_least(bytes);
    if (bytes) stream_.upload(at, values.data(), static_cast<size_t>(bytes));
    return at;
  }

  // The sums of the three embeddings, [tokens, hidden].
  std::vector<float> embed(const EncoderStep& step) const {
    auto hidden = static_cast<size_t>(config_.hidden);
    std::vector<float> rows(step.tokens.size() * hidden);
    for (size_t text = 0; text + 1 < step.first_tokens.size(); ++text)
      for (int32_t i = step.first_tokens[text]; i < step.first_tokens[text + 1]; ++i) {
        auto at = static_cast<size_t>(i), place = static_cast<size_t>(i - step.first_tokens[text]);
        auto id = static_cast<uint64_t>(static_cast<uint32_t>(step.tokens[at])),
             type = static_cast<uint64_t>(static_cast<uint32_t>(step.types[at]));
        if (id >= word_->rows()) fail("the token {} is beyond the model's {} tokens", id, word_->rows());
        if (type >= static_cast<uint64_t>(config_.segments))
          fail("the segment {} is beyond the model's {}", type, config_.segments);
        if (place >= static_cast<size_t>(config_.positions))
          fail("a text has more tokens than the model's {} positions", config_.positions);
        auto row = std::span(rows).subspan(at * hidden, hidden);
        weights::dequantize(word_->format, word_->bytes.subspan(id * word_->row_bytes(), word_->row_bytes()),
                            row);
        // The order of the original: word + segment, then + position.
        for (size_t e = 0; e < hidden; ++e)
          row[e] = (row[e] + segment_[type * hidden + e]) + position_[place * hidden + e];
      }
    return rows;
  }

  runtime::Context& context_;
  runtime::Stream& stream_;
  Checkpoint checkpoint_;  // keeps the files mapped
  const weights::Tensor* word_ = nullptr;
  std::vector<float> position_, segment_;
  kernels::LayerNorm norm_;
  kernels::ActivationKernel activation_;
  kernels::X86Attention attention_;
  Norm embedding_norm_;
  std::vector<Layer> layers_;
  Workspace x_, qkv_, attended_, inner_, records_, first_, several_, single_;
};

// Hugging Face's names of activations.
std::string activation_of(const Checkpoint& checkpoint) {
  std::string name = checkpoint.config().value("hidden_act", "gelu");
  if (name == "gelu") return "gelu_erf";
  if (name == "gelu_new" || name == "gelu_pytorch_tanh") return "gelu_tanh";
  if (name == "relu" || name == "silu") return name;
  fail("{}: hidden_act: '{}' is not supported; use gelu, gelu_new, relu or silu",
       checkpoint.files().config->string(), name);
}

}  // namespace

std::unique_ptr<Encoder> load_bert(runtime::Context& context, const Checkpoint& checkpoint,
                                   Precision precision) {
  if (checkpoint.is_gguf())
    fail("{}: BERT is read from safetensors only", checkpoint.files().weights.string());
  EncoderConfig c;
  c.architecture = checkpoint.architecture();
  c.layers = checkpoint.integer("num_hidden_layers", "");
  c.hidden = checkpoint.integer("hidden_size", "");
  c.intermediate = checkpoint.integer("intermediate_size", "");
  c.heads = checkpoint.integer("num_attention_heads", "");
  c.vocab = checkpoint.integer("vocab_size", "");
  c.positions = checkpoint.integer("max_position_embeddings", "");
  c.segments = checkpoint.find_integer("type_vocab_size", "").value_or(2);
  c.epsilon = checkpoint.find_real("layer_norm_eps", "").value_or(1e-12);
  c.activation = activation_of(checkpoint);
  auto expect = [&](bool ok, const char* key, int64_t value) {
    if (!ok) fail("{}: {}: {} makes no sense", checkpoint.files().config->string(), key, value);
  };
  expect(c.layers >= 1 && c.layers <= 10000, "num_hidden_layers", c.layers);
  expect(c.hidden >= 1 && c.hidden <= 65536, "hidden_size", c.hidden);
  expect(c.heads >= 1 && c.hidden % c.heads == 0, "num_attention_heads", c.heads);
  expect(c.intermediate >= 1 && c.intermediate <= 65536, "intermediate_size", c.intermediate);
  expect(c.vocab >= 1 && c.vocab <= 1 << 24, "vocab_size", c.vocab);
  expect(c.positions >= 1 && c.positions <= 1 << 24, "max_position_embeddings", c.positions);
  expect(c.segments >= 1 && c.segments <= 1 << 16, "type_vocab_size", c.segments);
  if (checkpoint.config().value("position_embedding_type", "absolute") != "absolute")
    fail("{}: position_embedding_type: only absolute positions are supported",
         checkpoint.files().config->string());
  return std::make_unique<Bert>(context, checkpoint, std::move(c), precision);
}

}  // namespace rose::models
