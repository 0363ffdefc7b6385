// Kernels that may start before the ones ahead of them have ended: the results are those of kernels that
// wait.
#include "kernels/activation/activation.h"
#include "kernels/embedding/embedding.h"
#include "kernels/norm/layer_norm.h"
#include "kernels/norm/rms_norm.h"
#include "support.h"

namespace rose::kernels {
namespace {

constexpr int64_t kHidden = 1024, kRounds = 12;

// Each kernel reads what the one before it wrote, and writes over what that one has read.
std::vector<double> chain(bool pdl, int64_t rows, bool graph) {
  auto& context = test_context();
  auto& stream = test_stream();
  EmbeddingSpec embedding;
  embedding.hidden = kHidden, embedding.pdl = pdl;
  RmsNormSpec rms;
  rms.hidden = kHidden, rms.residual = true, rms.pdl = pdl;
  LayerNormSpec layer;
  layer.hidden = kHidden, layer.pdl = pdl;
  ActivationSpec act;
  act.width = kHidden, act.form = "plain", act.function = "gelu_tanh", act.pdl = pdl;
  Embedding embed(context, embedding);
  RmsNorm norm(context, rms);
  LayerNorm normal(context, layer);
  ActivationKernel activate(context, act);

  std::vector<int32_t> numbers(static_cast<size_t>(rows));
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<int32_t>(i * 7 % 50);
  auto ids = context.device().allocate(numbers.size() * 4);
  stream.upload(ids, numbers.data(), numbers.size() * 4);
  auto table = upload(ir::bf16, random_values(ir::bf16, 50 * kHidden, 1));
  auto weight = upload(ir::bf16, random_values(ir::bf16, kHidden, 2, 0.5, 1.5)),
       bias = upload(ir::bf16, random_values(ir::bf16, kHidden, 3));
  auto x = poisoned(ir::bf16, rows * kHidden), y = poisoned(ir::bf16, rows * kHidden),
       residual = upload(ir::bf16, std::vector<double>(static_cast<size_t>(rows * kHidden)));
  auto run = [&] {
    embed(stream, ids, table, x, rows, 50);
    for (int i = 0; i < kRounds; ++i) {
      norm(stream, x, residual, weight, y, rows);
      activate(stream, y, x, rows);
      normal(stream, {.x = x, .weight = weight, .bias = bias, .out = y, .rows = rows});
      activate(stream, y, x, rows);
    }
  };
  if (!graph) {
    run();
  } else {
    norm(stream, x, residual, weight, y, rows),
        normal(stream, {.x = x, .weight = weight, .bias = bias, .out = y, .rows = rows});
    stream.fill(residual, 0, static_cast<size_t>(rows * kHidden * 2));
    stream.begin_capture();
    run();
    auto recorded = stream.end_capture();
    stream.launch(*recorded);
    stream.synchronize();
  }
  auto out = download(ir::bf16, x, rows * kHidden), sums = download(ir::bf16, residual, rows * kHidden);
  out.insert(out.end(), sums.begin(), sums.end());
  return out;
}

TEST(DependentLaunch, GivesWhatWaitingKernelsGive) {
  for (int64_t rows : {1, 33, 700}) {
    auto want = chain(false, rows, false);
    for (double v : want) ASSERT_FALSE(v != v) << "the chain itself must be sound";
    EXPECT_EQ(chain(true, rows, false), want) << rows;
    EXPECT_EQ(chain(true, rows, true), want) << rows << " in a graph";
  }
}

}  // namespace
}  // namespace rose::kernels
