// Rotary embedding as config.json and GGUF metadata describe it.
#include <cmath>

#include "models/decoder_config.h"
#include "weights/dequantize.h"

namespace rose::models {
namespace {

using kernels::RopeScaling;

// √(1 + ln(factor) / ln(original)): what LongRoPE multiplies cosines and sines with.
double long_attention_factor(double factor, int64_t original) {
  return factor <= 1 ? 1 : std::sqrt(1 + std::log(factor) / std::log(static_cast<double>(original)));
}

// Sequences beyond `original` tokens turn with other divisors than those within.
void set_long_rope(DecoderConfig& c, std::vector<float> within, std::vector<float> beyond, int64_t original,
                   double attention_factor) {
  c.long_rope = c.rope;
  c.rope.divisors = std::move(within), c.long_rope.divisors = std::move(beyond);
  c.rope.attention_factor = c.long_rope.attention_factor = attention_factor;
  c.rope_switch = original;
}

void read_gguf(const Checkpoint& checkpoint, DecoderConfig& c) {
  const auto& data = checkpoint.metadata();
  auto key = [&](const char* name) { return c.architecture + ".rope.scaling." + name; };
  auto divisors = [&](const char* name) {
    const auto* tensor = checkpoint.tensors().find(name);
    if (!tensor) return std::vector<float>{};
    if (static_cast<int64_t>(tensor->elements) != c.rope.rotary_dim / 2)
      fail("{}: {}: has {} values, expected {}", checkpoint.files().weights.string(), name, tensor->elements,
           c.rope.rotary_dim / 2);
    return weights::dequantize(*tensor);
  };
  auto original = static_cast<int64_t>(data.unsigned_or(key("original_context_length"), 0));
  auto within = divisors("rope_factors_short.weight"), beyond = divisors("rope_factors_long.weight");
  if (!within.empty() && !beyond.empty()) {
    if (original < 2)
      fail("{}: {}: is missing", checkpoint.files().weights.string(), key("original_context_length"));
    double stretch = static_cast<double>(c.context_length) / static_cast<double>(original);
    set_long_rope(c, std::move(within), std::move(beyond), original,
                  data.real_or(key("attn_factor"), long_attention_factor(stretch, original)));
    return;
  }
  c.rope.divisors = divisors("rope_freqs.weight");
  auto type = data.text_or(key("type"), "none");
  c.rope.factor = data.real_or(key("factor"), 1);
  if (type == "linear") {
    c.rope.scaling = RopeScaling::kLinear;
  } else if (type == "yarn") {
    c.rope.scaling = RopeScaling::kYarn;
    c.rope.original_positions = original ? original : c.context_length;
    c.rope.beta_fast = data.real_or(key("yarn_beta_fast"), 32),
    c.rope.beta_slow = data.real_or(key("yarn_beta_slow"), 1);
  } else if (type != "none") {
    fail("{}: {}: '{}' is not supported; ROSE knows linear, yarn and longrope",
         checkpoint.files().weights.string(), key("type"), type);
  }
}

// The object with "rope_type" and its numbers.
class Scaling {
 public:
  Scaling(const Checkpoint& checkpoint, const nlohmann::json& object, const char* name)
      : checkpoint_(checkpoint), object_(object), name_(name) {
    if (!object_.is_object()) wrong("", "expected an object");
  }

  std::string type() const {
    for (const char* key : {"rope_type", "type"})
      if (auto found = object_.find(key); found != object_.end() && !found->is_null()) {
        if (!found->is_string()) wrong(key, "expected a text");
        return found->get<std::string>();
      }
    return "default";
  }
  std::optional<double> find(const char* key) const {
    auto found = object_.find(key);
    if (found == object_.end() || found->is_null()) return std::nullopt;
    if (!found->is_number()) wrong(key, "expected a number");
    return found->get<double>();
  }
  double number(const char* key, double fallback) const { return find(key).value_or(fallback); }
  double required(const char* key) const {
    if (auto value = find(key)) return *value;
    wrong(key, "is missing");
  }
  bool flag(const char* key, bool fallback) const {
    auto found = object_.find(key);
    if (found == object_.end() || found->is_null()) return fallback;
    if (!found->is_boolean()) wrong(key, "expected true or false");
    return found->get<bool>();
  }
  // At the top of the file (Phi-3), or beside the others, or the context that the file tells.
  int64_t original(const DecoderConfig& c) const {
    if (auto value = checkpoint_.find_integer("original_max_position_embeddings", "")) return *value;
    return static_cast<int64_t>(
        number("original_max_position_embeddings", static_cast<double>(c.context_length)));
  }
  std::vector<float> divisors(const char* key, int64_t count) const {
    auto found = object_.find(key);
    if (found == object_.end() || !found->is_array() || static_cast<int64_t>(found->size()) != count)
      wrong(key, fmt::format("expected a list of {} numbers", count));
    std::vector<float> values;
    for (const auto& v : *found) {
      if (!v.is_number() || !(v.get<float>() > 0)) wrong(key, "expected positive numbers");
      values.push_back(v.get<float>());
    }
    return values;
  }
  [[noreturn]] void wrong(std::string_view key, std::string_view rule) const {
    fail("{}: {}{}{}: {}", checkpoint_.files().config->string(), name_, key.empty() ? "" : ".", key, rule);
  }

 private:
  const Checkpoint& checkpoint_;
  const nlohmann::json& object_;
  const char* name_;
};

void read_yarn(const Scaling& s, DecoderConfig& c) {
  auto& r = c.rope;
  r.scaling = RopeScaling::kYarn;
  r.original_positions = s.original(c);
  r.factor = s.find("factor").value_or(static_cast<double>(c.context_length) /
                                       static_cast<double>(r.original_positions));
  r.beta_fast = s.number("beta_fast", 32), r.beta_slow = s.number("beta_slow", 1);
  r.attention_factor = s.number("attention_factor", 0);
  r.mscale = s.number("mscale", 0), r.mscale_all_dim = s.number("mscale_all_dim", 0);
  r.truncate = s.flag("truncate", true);
}

void read_scaling(const Scaling& s, DecoderConfig& c) {
  auto& r = c.rope;
  std::string type = s.type();
  r.base = s.number("rope_theta", r.base);
  if (type == "su" || (type == "yarn" && c.architecture == "phi3")) type = "longrope";  // its older names
  if (type == "linear") {
    r.scaling = RopeScaling::kLinear, r.factor = s.required("factor");
  } else if (type == "llama3") {
    r.scaling = RopeScaling::kLlama3, r.factor = s.required("factor");
    r.low_frequency_factor = s.required("low_freq_factor");
    r.high_frequency_factor = s.required("high_freq_factor");
    r.original_positions = s.original(c);
  } else if (type == "yarn") {
    read_yarn(s, c);
  } else if (type == "longrope") {
    int64_t original = s.original(c);
    if (original < 2) s.wrong("original_max_position_embeddings", "expected 2 or more");
    double stretch =
        s.number("factor", static_cast<double>(c.context_length) / static_cast<double>(original));
    set_long_rope(c, s.divisors("short_factor", r.rotary_dim / 2),
                  s.divisors("long_factor", r.rotary_dim / 2), original,
                  s.find("attention_factor").value_or(long_attention_factor(stretch, original)));
  } else if (type != "default" && type != "dynamic") {
    // "dynamic" changes the base beyond max_position_embeddings alone, which is where our context ends.
    s.wrong("rope_type",
            fmt::format("'{}' is not supported; ROSE knows default, linear, dynamic, llama3, yarn and "
                        "longrope",
                        type));
  }
}

}  // namespace

void read_rope(const Checkpoint& checkpoint, DecoderConfig& c) {
  c.rope.base = checkpoint.find_real("rope_theta", "rope.freq_base").value_or(c.rope.base);
  c.rope.rotary_dim = checkpoint.find_integer("", "rope.dimension_count").value_or(c.head_dim);
  // Files of newer versions hold base, partial rotation and scaling together in "rope_parameters".
  const auto& config = checkpoint.config();
  const char* name =
      config.is_object() && config.contains("rope_parameters") ? "rope_parameters" : "rope_scaling";
  const nlohmann::json* object = nullptr;
  if (config.is_object())
    if (auto found = config.find(name); found != config.end() && !found->is_null())
      object =
          found->is_object() && found->contains("full_attention") ? &(*found)["full_attention"] : &*found;
  if (!checkpoint.is_gguf()) {
    auto part = checkpoint.find_real("partial_rotary_factor", "");
    if (object && !part) part = Scaling(checkpoint, *object, name).find("partial_rotary_factor");
    c.rope.rotary_dim = static_cast<int64_t>(static_cast<double>(c.head_dim) * part.value_or(1));
  }
  if (c.rope.rotary_dim < 2 || c.rope.rotary_dim > c.head_dim || c.rope.rotary_dim % 2)
    fail("{} makes {} elements of a head turn; expected an even number up to {}",
         field(checkpoint, "partial_rotary_factor", "rope.dimension_count"), c.rope.rotary_dim, c.head_dim);
  if (checkpoint.is_gguf())
    read_gguf(checkpoint, c);
  else if (object)
    read_scaling(Scaling(checkpoint, *object, name), c);
  if (!(c.rope.base > 0) || !std::isfinite(c.rope.base))
    fail("{}: expected a positive number, found {}", field(checkpoint, "rope_theta", "rope.freq_base"),
         c.rope.base);
}

}  // namespace rose::models
