// A model that gives no numbers: the request ends with a message that says what happened.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/generation.h"
#include "runtime/compile.h"

namespace rose::engine {
namespace {

// Logits of all bits set, which is NaN, after so many good steps.
class NanDecoder : public models::Decoder {
 public:
  NanDecoder(runtime::Context& context, models::DecoderConfig config, int good)
      : Decoder(std::move(config)), context_(context), good_(good) {}
  int64_t weight_bytes() const override { return 0; }
  void forward(const models::Step& step, models::KvCache&, runtime::DevicePointer out) override {
    const auto bytes = step.logit_rows.size() * static_cast<size_t>(config_.vocab) * 4;
    context_.stream().fill(out, good_-- > 0 ? 0 : 0xff, bytes);
  }

 private:
  runtime::Context& context_;
  int good_;
};

TEST(BrokenModel, NanInLogitsEndsTheRequestWithAMessage) {
  runtime::ContextOptions options;
  options.device = "x86", options.cache.disk = false;
  auto context = runtime::open_context(std::move(options));
  models::DecoderConfig config;
  config.layers = 1, config.hidden = 8, config.intermediate = 8, config.q_heads = config.kv_heads = 1,
  config.head_dim = 8;
  config.vocab = 40, config.context_length = 64;
  for (int good : {0, 3})
    for (float temperature : {0.0F, 1.0F}) {
      NanDecoder decoder(*context, config, good);
      GenerationEngine engine(*context, decoder, nullptr, {});
      GenerationRequest request;
      request.prompt = {1, 2}, request.max_tokens = 10, request.sampling.temperature = temperature;
      request.sampling.seed = 1;
      try {
        engine.generate(request);
        FAIL() << "a token was made of NaN";
      } catch (const EngineError& error) {
        EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("NaN"), testing::HasSubstr("weights")));
      }
    }
}

}  // namespace
}  // namespace rose::engine
