#include "models/text_head.h"

namespace rose::models {

void TextHead::add(const Checkpoint& checkpoint, const std::string& stem, int64_t in, int64_t out, bool bias,
                   const std::string& activation) {
  Build build(*context_, checkpoint, Precision::kExact);
  Layer layer{
      .in = in,
      .linear = encoder_linear(build, {.stems = {stem}, .n = out, .k = in, .bias = bias, .f32_out = true}),
      .activation = nullptr,
      .norm = std::nullopt,
      .room = std::make_unique<Workspace>(*context_)};
  if (!activation.empty()) {
    kernels::ActivationSpec spec;
    spec.dtype = ir::f32, spec.width = out, spec.function = activation, spec.form = "plain";
    layer.activation = std::make_unique<kernels::ActivationKernel>(*context_, spec);
  }
  layers_.push_back(std::move(layer));
}

void TextHead::add_norm(const Checkpoint& checkpoint, const std::string& stem, double epsilon, bool bias) {
  Build build(*context_, checkpoint, Precision::kExact);
  layers_.back().norm.emplace(build, stem, out(), epsilon, bias, ir::f32);
}

int64_t TextHead::bytes() const {
  int64_t bytes = 0;
  for (const auto& layer : layers_) bytes += layer.linear.bytes();
  return bytes;
}

std::vector<float> TextHead::operator()(std::span<const float> vectors, int64_t rows) {
  auto& stream = context_->stream();
  const auto dtype = compute_on(context_->properties()).dtype;
  std::vector<float> values(vectors.begin(), vectors.end());
  for (auto& layer : layers_) {
    auto input = upload(*context_, values, dtype);
    auto output = layer.room->at_least(rows * layer.linear.n() * 4);
    layer.linear(stream, input, output, rows, records_);
    if (layer.activation) (*layer.activation)(stream, output, output, rows);
    if (layer.norm) (*layer.norm)(stream, output, output, rows);
    values.resize(static_cast<size_t>(rows * layer.linear.n()));
    stream.download(values.data(), output, values.size() * sizeof(float));
    stream.synchronize();
  }
  return values;
}

namespace {

std::string head_of(const Checkpoint& checkpoint) {
  const auto& config = checkpoint.config();
  auto found = config.find("architectures");
  if (found == config.end() || !found->is_array() || found->empty() || !found->front().is_string()) return "";
  auto name = found->front().get<std::string>();
  auto at = name.find("For");
  return at == std::string::npos ? "" : name.substr(at);
}

std::vector<std::string> read_labels(const Checkpoint& checkpoint) {
  EncoderFields fields(checkpoint);
  auto found = checkpoint.config().find("id2label");
  std::vector<std::string> labels;
  if (found == checkpoint.config().end() || found->is_null()) {
    int64_t count = fields.integer_or("num_labels", 2, 1, 65536);
    for (int64_t i = 0; i < count; ++i) labels.push_back(fmt::format("LABEL_{}", i));
    return labels;
  }
  if (!found->is_object() || found->empty())
    fields.fail("id2label", "expected an object of numbers and names");
  labels.resize(found->size());
  for (size_t i = 0; i < labels.size(); ++i) {
    auto name = found->find(std::to_string(i));
    if (name == found->end() || !name->is_string())
      fields.fail("id2label",
                  fmt::format("a name for {} is missing; it must name 0 to {}", i, labels.size() - 1));
    labels[i] = name->get<std::string>();
  }
  return labels;
}

// Where cross-encoders say what becomes of their score: config_sentence_transformers.json, else config.json
// in the form of newer or older versions of sentence-transformers.
std::string score_activation(const Checkpoint& checkpoint) {
  auto activation = [&](const nlohmann::json& from, const char* key,
                        const std::filesystem::path& file) -> std::optional<std::string> {
    auto found = from.is_object() ? from.find(key) : from.end();
    if (!from.is_object() || found == from.end() || found->is_null()) return std::nullopt;
    if (!found->is_string()) fail("{}: {}: expected a text", file.string(), key);
    auto name = parse_torch_activation(found->get<std::string>());
    if (!name)
      fail("{}: {}: '{}' is not supported; use Identity, Sigmoid, Tanh, ReLU, SiLU or GELU", file.string(),
           key, found->get<std::string>());
    return name;
  };
  auto file = checkpoint.files().folder / "config_sentence_transformers.json";
  if (std::filesystem::exists(file))
    if (auto name = activation(read_json(file), "activation_fn", file)) return *name;
  const auto& config = checkpoint.config();
  const auto& path = *checkpoint.files().config;
  if (auto found = config.find("sentence_transformers"); found != config.end())
    if (auto name = activation(*found, "activation_fn", path)) return *name;
  return activation(config, "sbert_ce_default_activation_function", path).value_or("sigmoid");
}

ClassifierConfig::Problem problem_of(const Checkpoint& checkpoint, size_t labels) {
  using Problem = ClassifierConfig::Problem;
  EncoderFields fields(checkpoint);
  auto name = fields.text("problem_type", "");
  if (name == "single_label_classification") return Problem::kSingleLabel;
  if (name == "multi_label_classification") return Problem::kMultiLabel;
  if (name == "regression") return Problem::kRegression;
  if (!name.empty())
    fields.fail(
        "problem_type",
        fmt::format(
            "'{}' is unknown; use single_label_classification, multi_label_classification or regression",
            name));
  return labels == 1 ? Problem::kMultiLabel : Problem::kSingleLabel;  // one label alone: its probability
}

}  // namespace

bool is_classifier(const Checkpoint& checkpoint) {
  if (!checkpoint.config().is_object()) return false;
  auto head = head_of(checkpoint);
  if (head == "ForSequenceClassification") return true;
  if (head.empty() || head == "ForMaskedLM" || head == "ForPreTraining") return false;
  fail(
      "{}: architectures: models {} are not supported; ROSE embeds with plain encoders and classifies with "
      "ForSequenceClassification",
      checkpoint.files().config->string(), head);
}

ClassifierConfig read_classifier_config(const Checkpoint& checkpoint) {
  EncoderFields fields(checkpoint);
  ClassifierConfig c;
  c.labels = read_labels(checkpoint);
  c.problem = problem_of(checkpoint, c.labels.size());
  c.score_activation = score_activation(checkpoint);
  if (checkpoint.architecture() == "modernbert") {
    auto pooling = fields.text("classifier_pooling", "cls");
    if (pooling != "cls" && pooling != "mean")
      fields.fail("classifier_pooling", fmt::format("'{}' is unknown; use cls or mean", pooling));
    c.pooling = pooling == "cls" ? Pooling::kCls : Pooling::kMean;
  }
  return c;
}

TextHead load_classifier(runtime::Context& context, const Checkpoint& checkpoint,
                         const EncoderConfig& encoder, const ClassifierConfig& config) {
  const auto whole = checkpoint.whole();
  const int64_t hidden = encoder.hidden, labels = static_cast<int64_t>(config.labels.size());
  TextHead head(context);
  if (encoder.architecture == "bert") {
    head.add(checkpoint, "pooler.dense", hidden, hidden, true, "tanh");
    head.add(whole, "classifier", hidden, labels, true, "");
  } else if (encoder.architecture == "distilbert") {
    head.add(whole, "pre_classifier", hidden, hidden, true, "relu");
    head.add(whole, "classifier", hidden, labels, true, "");
  } else if (encoder.architecture == "modernbert") {
    EncoderFields fields(checkpoint);
    head.add(whole, "head.dense", hidden, hidden, fields.flag("classifier_bias", false),
             fields.activation("classifier_activation", "gelu"));
    head.add_norm(whole, "head.norm", encoder.epsilon, encoder.norm_bias);
    head.add(whole, "classifier", hidden, labels, true, "");
  } else {  // RoBERTa and its kin
    head.add(whole, "classifier.dense", hidden, hidden, true, "tanh");
    head.add(whole, "classifier.out_proj", hidden, labels, true, "");
  }
  return head;
}

}  // namespace rose::models
