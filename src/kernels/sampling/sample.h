// Choice of the next token of each row of logits: penalties, bias, temperature, min-p, top-k, top-p, and a
// draw that depends on the row's own seed and position alone.
//
// For each row, in this order:
//   1. NaN counts as -infinity and is reported; then a row of `bias` is added.
//   2. Penalties: tokens of prompt or output divide a positive logit by `repetition` and multiply a negative
//   one with it
//      (Keskar et al., "CTRL", 2019); output tokens lose count · frequency + presence (OpenAI's API
//      reference).
//   3. Temperature 0 (below 1e-5) takes the largest logit, of equal ones the first. Else logits are divided
//   by it.
//   4. min-p: logits below the largest one + ln(min_p) leave. top-k: all below the k-th largest leave. top-p:
//   of the
//      rest, the fewest largest whose probabilities sum to at least top_p of the rest stay. Equal logits stay
//      together.
//   5. The draw is a race: the token with the largest logit / temperature - ln(e) wins, e exponentially
//   distributed
//      (random.h). That is a draw from the softmax of those that stayed.
#pragma once

#include "kernels/catalog.h"

namespace rose::kernels {

struct SampleSpec {
  ir::Type dtype = ir::f32;  // of logits: bf16, f16 or f32
  int64_t vocab = 32000;     // elements of a row: 1 … 1048576
  bool greedy = false;       // every row takes its largest logit: no draw, no settings but penalties and bias
  bool penalties = false;    // counts are given
  bool bias = false;         // rows of bias are given
  bool pdl = false;      // programmatic dependent launch: may start before the kernel ahead of it has ended
  bool logprob = false;  // the logarithm of the token's probability before steps 1 to 4 is written

  void fields(Fields& f) {
    f("dtype", dtype, "type of logits: bf16, f16 or f32");
    f("vocab", vocab, "elements of a row, 1 to 1048576");
    f("greedy", greedy, "1: every row takes its largest logit");
    f("penalties", penalties, "1: repetition, presence and frequency penalties from token counts");
    f("bias", bias, "1: add a row of bias");
    f("logprob", logprob, "1: write the token's log-probability");
    f("pdl", pdl, "1: may start before the kernel ahead of it has ended");
  }
};

// What one row is sampled with, as it lies in device memory: 12 words.
struct SampleSettings {
  float temperature = 1, top_p = 1, min_p = 0;        // top_p at most 1; min_p 0: off
  float repetition = 1, presence = 0, frequency = 0;  // 1, 0, 0: off
  int32_t top_k = 0;                                  // 0 or less: off
  int32_t bias_row = -1;                              // negative: none
  int32_t count_row = 0;
  uint32_t position = 0;  // of the new token; a new one for each draw
  uint64_t seed = 0;
};
static_assert(sizeof(SampleSettings) == 48);

constexpr int32_t kInPrompt = 1 << 30;  // part of a token's count: the prompt has it
constexpr int32_t kNanLogits = 1,
                  kNoFiniteLogit = 2;  // flags of a row; without a finite logit the token is 0

ir::Kernel sample(const ir::Target& target, const SampleSpec& spec);
CatalogEntry sample_entry();

class Sample {
 public:
  Sample(runtime::Context& context, const SampleSpec& spec);

  struct Arguments {
    runtime::DevicePointer logits;    // [rows, vocab]
    runtime::DevicePointer settings;  // SampleSettings [rows]
    runtime::DevicePointer counts;  // int32 [count rows, vocab], with penalties: how often the output has the
                                    // token, plus kInPrompt
    runtime::DevicePointer bias;    // f32 [bias rows (at least one), vocab], with bias
    runtime::DevicePointer
        workspace;                    // f32 [rows, vocab], with penalties or bias: logits after steps 1 and 2
    runtime::DevicePointer tokens;    // int32 [rows]
    runtime::DevicePointer flags;     // int32 [rows]
    runtime::DevicePointer logprobs;  // f32 [rows], with logprob
    int64_t rows = 0;
  };
  void operator()(runtime::Stream& stream, const Arguments& arguments) const;

 private:
  const runtime::Program* program_;
  SampleSpec spec_;
  int64_t blocks_;  // of a row
};

// The definition in double precision for one row; counts and bias may be null. `scores`, if given, becomes
// what the token was chosen by (-infinity for tokens that left).
struct Sampled {
  int32_t token = 0, flags = 0;
  double logprob = 0;
};
Sampled sample_reference(const SampleSpec& spec, const double* logits, const SampleSettings& settings,
                         const int32_t* counts, const float* bias, std::vector<double>* scores = nullptr);

}  // namespace rose::kernels
