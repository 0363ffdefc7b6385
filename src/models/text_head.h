// What stands on top of an encoder: the layers between a text's pooled vector and its logits or its
// embedding, and what config.json says about the classes.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/encoder.h"
#include "models/encoder_parts.h"
#include "models/sentence.h"

namespace rose::models {

/// A few layers of vectors, one a text: linear, then perhaps an activation and a norm. Between layers vectors
/// are f32 on the host: they are few.
class TextHead {
 public:
  explicit TextHead(runtime::Context& context) : context_(&context), records_(context) {}
  /// Adds a layer with the weights `stem`.weight [out, in] and `stem`.bias of the checkpoint; an empty
  /// activation is none.
  void add(const Checkpoint& checkpoint, const std::string& stem, int64_t in, int64_t out, bool bias,
           const std::string& activation);
  /// A layer norm behind the layer added last.
  void add_norm(const Checkpoint& checkpoint, const std::string& stem, double epsilon, bool bias);

  int64_t in() const { return layers_.front().in; }
  int64_t out() const { return layers_.back().linear.n(); }
  int64_t bytes() const;
  /// vectors: [rows, in]; the result is [rows, out].
  std::vector<float> operator()(std::span<const float> vectors, int64_t rows);

 private:
  struct Layer {
    int64_t in;
    Linear linear;
    std::unique_ptr<kernels::ActivationKernel> activation;
    std::optional<EncoderNorm> norm;
    std::unique_ptr<Workspace> room;
  };
  runtime::Context* context_;
  Workspace records_;
  std::vector<Layer> layers_;
};

/// Classes of a sequence-classification model.
struct ClassifierConfig {
  enum class Problem { kSingleLabel, kMultiLabel, kRegression };
  std::vector<std::string> labels;  // id2label
  Problem problem = Problem::kSingleLabel;
  Pooling pooling = Pooling::kCls;
  /// What becomes of the logit of a cross-encoder with one label, as kernels/activation calls it; "" for
  /// nothing.
  std::string score_activation = "sigmoid";
};

/// True for a checkpoint with a sequence-classification head, by "architectures" of config.json. Throws
/// ModelError for heads of another kind (token classification, question answering).
bool is_classifier(const Checkpoint& checkpoint);
/// Throws ModelError naming file and field.
ClassifierConfig read_classifier_config(const Checkpoint& checkpoint);
/// The layers between the pooled vector and the logits.
TextHead load_classifier(runtime::Context& context, const Checkpoint& checkpoint,
                         const EncoderConfig& encoder, const ClassifierConfig& config);

}  // namespace rose::models
