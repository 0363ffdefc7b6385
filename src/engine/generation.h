// The generation engine: requests share steps of one model, with a paged KV cache between them.
//
// An answer depends on its own request alone (prompt, settings, seed), whatever shares its steps: kernels
// compute each row by itself, prompts are cut into chunks at places that depend on the prompt alone, and
// draws depend on seed and position.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/block_pool.h"
#include "engine/error.h"
#include "engine/text_stream.h"
#include "kernels/sampling/sample.h"
#include "models/decoder.h"
#include "models/vocabulary.h"

namespace rose::engine {

struct SamplingOptions {
  float temperature = 1;  // 0: always the likeliest token
  float top_p = 1, min_p = 0;
  int32_t top_k = 0;                                  // 0: all
  float repetition = 1, presence = 0, frequency = 0;  // penalties; 1, 0, 0: none
  std::map<int32_t, float> logit_bias;                // by token
  std::optional<uint64_t> seed;                       // without one, each answer differs
};

struct GenerationRequest {
  std::vector<int32_t> prompt;
  int64_t max_tokens = 256;
  SamplingOptions sampling;
  std::vector<int32_t> stop_tokens;       // end the answer; not part of it
  std::vector<std::string> stop_strings;  // the same for text
  bool logprobs = false;
  int32_t top_logprobs = 0;  // so many of the likeliest tokens are told beside each token
  /// Text as it becomes certain, in the thread that calls step(). Returning false cancels the request.
  std::function<bool(std::string_view)> on_text;
};

enum class FinishReason { kNone, kStop, kLength, kCancelled };
const char* finish_name(FinishReason reason);  // "stop", "length", "cancelled"

struct TokenProbability {
  int32_t token = 0;
  float logprob = 0;
};

struct GenerationResult {
  std::string text;
  std::vector<int32_t> tokens;  // without the stop token
  std::vector<float> logprobs;  // one a token, when asked for: of the model, before all sampling options
  std::vector<std::vector<TokenProbability>> top_logprobs;  // one list a token, likeliest first
  FinishReason finish = FinishReason::kNone;
  int64_t prompt_tokens = 0;
  int64_t reused_tokens = 0;       // of the prompt, whose keys and values the cache still had (keep_prefix)
  double first_token_seconds = 0;  // from submit() to the first token
  uint64_t seed = 0;               // that reproduces the answer
};

struct EngineOptions {
  int64_t cache_tokens = 0;  // of the KV cache; 0: one answer of the model's context, up to 4096
  int64_t prompt_chunk = 0;  // tokens of one prompt in one step; 0: what suits the device
  int64_t batch = 64;        // requests that run at once
  // Keep the last prompt in the cache for one that begins alike (conversations). On GPUs the shorter rest of
  // a prompt may take another product's program, which rounds differently.
  bool keep_prefix = false;
};

/// One thread at a time may call it. Context, decoder and vocabulary must outlive it.
class GenerationEngine {
 public:
  /// Without a vocabulary (null) answers are tokens alone: their text is empty, and stop strings are refused.
  GenerationEngine(runtime::Context& context, models::Decoder& decoder, const models::Vocabulary* vocabulary,
                   const EngineOptions& options);
  GenerationEngine(runtime::Context& context, models::Decoder& decoder, const models::Vocabulary& vocabulary,
                   const EngineOptions& options)
      : GenerationEngine(context, decoder, &vocabulary, options) {}
  ~GenerationEngine();

  /// Queues a request and returns its number. Throws EngineError for empty and over-long prompts and for
  /// settings out of range. An answer that would not fit into the context is cut there (finish "length").
  int64_t submit(GenerationRequest request);
  /// One forward step over all running requests. False when there is nothing left to do.
  bool step();
  /// The answer of a finished request, which is then forgotten; nothing while it is not finished.
  std::optional<GenerationResult> take(int64_t id);
  /// Ends a request where it is; take() then gives what it has (finish "cancelled"). Nothing for other
  /// numbers.
  void cancel(int64_t id);
  /// submit, step until finished, take.
  GenerationResult generate(GenerationRequest request);

  /// Tokens of a prompt and its answer together.
  int64_t context_length() const { return context_length_; }
  int64_t cache_bytes() const;

 private:
  struct Sequence;

  void admit();
  bool find_room(Sequence& sequence);
  int64_t reusable(const Sequence& sequence) const;
  void retire(Sequence& sequence);
  void turn_anew(Sequence& sequence);
  std::vector<std::vector<Sequence*>> groups();
  models::Step gather(const std::vector<Sequence*>& group, std::vector<Sequence*>& sampled);
  void sample(const std::vector<Sequence*>& rows);
  void add_top_logprobs(const std::vector<Sequence*>& rows);
  void accept(Sequence& sequence, int32_t token, float logprob);
  void finish(Sequence& sequence, FinishReason reason);

  runtime::Context& context_;
  models::Decoder& decoder_;
  const models::Vocabulary* vocabulary_;
  EngineOptions options_;
  models::Compute compute_;
  int64_t context_length_;
  models::KvCache cache_;
  BlockPool pool_;
  models::Workspace logits_, settings_, counts_, bias_, scratch_, tokens_, flags_, logprobs_;
  std::map<int, std::unique_ptr<kernels::Sample>> samplers_;  // by what they offer
  std::vector<std::unique_ptr<Sequence>> waiting_, running_;
  std::map<int64_t, GenerationResult> finished_;
  std::vector<int32_t> kept_tokens_, kept_blocks_;  // keep_prefix: the last prompt
  int64_t next_id_ = 1;
};

}  // namespace rose::engine
