#include "kernels/embedding/embedding.h"

#include <fmt/format.h>

#include "support.h"

namespace rose::kernels {
namespace {

void check(const EmbeddingSpec& spec, int64_t first_id = 0) {
  std::string what = fmt::format("{} first_id={}", spec_text(spec), first_id);
  constexpr int64_t kRows = 37;
  std::vector<int32_t> ids{0, 36, 5, 5, -1, 37, 100, INT32_MAX, INT32_MIN, 12};
  auto tokens = static_cast<int64_t>(ids.size());
  auto table = random_values(spec.dtype, kRows * spec.hidden, 1);
  auto ids_device = test_context().device().allocate(ids.size() * 4);
  test_stream().upload(ids_device, ids.data(), ids.size() * 4);
  auto table_device = upload(spec.dtype, table), out = poisoned(spec.out_dtype, tokens * spec.hidden);

  Embedding(test_context(), spec)(test_stream(), ids_device, table_device, out, tokens, kRows, first_id);

  std::vector<double> want(static_cast<size_t>(tokens * spec.hidden));
  embedding_reference(spec, ids.data(), table.data(), want.data(), tokens, kRows, first_id);
  // A copy is exact; the scale is rounded to f32, its product once, and the result to out's type.
  bool exact = spec.scale == 1 && (spec.out_dtype == spec.dtype || spec.out_dtype == ir::f32);
  double relative = exact ? 0 : 1.01 * ir::unit_roundoff(spec.out_dtype) + 2 * ir::unit_roundoff(ir::f32);
  expect_close(download(spec.out_dtype, out, tokens * spec.hidden), want,
               exact ? 0 : ir::underflow_roundoff(spec.out_dtype), relative, what);
}

TEST(Embedding, EverySizeTypeAndScale) {
  for (int64_t hidden : {1, 3, 8, 33, 64, 384, 576, 2048, 20000})
    for (ir::Type dtype : {ir::bf16, ir::f16, ir::f32})
      for (ir::Type out : {ir::bf16, ir::f32})
        for (double scale : {1.0, 50.59644256269407}) {
          EmbeddingSpec spec;
          spec.hidden = hidden, spec.dtype = dtype, spec.out_dtype = out, spec.scale = scale;
          check(spec);
        }
}

TEST(Embedding, TablesOfAPartOfTheVocabulary) {
  EmbeddingSpec spec;
  spec.hidden = 40;
  check(spec, 3);
  check(spec, -2);
}

TEST(Embedding, AnEmptyTableGivesZeros) {
  EmbeddingSpec spec;
  spec.hidden = 16;
  std::vector<int32_t> ids{0, 4};
  auto ids_device = test_context().device().allocate(8);
  test_stream().upload(ids_device, ids.data(), 8);
  auto out = poisoned(ir::bf16, 32);
  Embedding(test_context(), spec)(test_stream(), ids_device, runtime::DevicePointer(), out, 2, 0);
  EXPECT_EQ(download(ir::bf16, out, 32), std::vector<double>(32, 0.0));
}

}  // namespace
}  // namespace rose::kernels
