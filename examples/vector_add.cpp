// out = x + y: the smallest kernel. Values, a loop, a condition, and one source for GPU and x86.
#include "dsl/block.h"
#include "example.h"

using namespace rose::dsl;

// Any grid is right: every thread walks the vectors with the stride of the whole grid.
rose::ir::Kernel vector_add(const Target& target) {
  const int threads = target.is_gpu() ? 256 : 1;
  const int width = target.vector_bytes() / 4;  // f32 values of one access: 4 on a GPU, 8 or 16 on x86
  return record("vector_add", {.target = target, .threads = threads}, [&](Block& block) {
    auto x = block.input("x", f32, shape(dynamic("n")));       // [n]
    auto y = block.input("y", f32, shape(dynamic("n")));       // [n]
    auto out = block.output("out", f32, shape(dynamic("n")));  // [n]
    Val n = block.dimension("n");
    Val thread = block.index() * threads + block.thread();
    Val whole = n / width * width;

    FOR (i, thread * width, whole, block.grid() * (threads * width)) {
      Pack a = load_pack(x, i, 0, width);
      Pack b = load_pack(y, i, 0, width);
      for (size_t v = 0; v < a.size(); ++v) a[v] = a[v] + b[v];
      store_pack(out, i, 0, a);
    }
    IF (thread == 0) {
      FOR (i, whole, n) {
        store_at(out, i, load(x, i) + load(y, i));
      }
    }
  });
}

int main() {
  auto context = example::open_device();
  auto program = context->device().load(
      rose::runtime::compile(vector_add(rose::runtime::target_of(context->properties()))));

  const int64_t n = 1'000'003;
  auto x = example::some_values(n, 1), y = example::some_values(n, 2);
  auto x_there = example::to_device(*context, x), y_there = example::to_device(*context, y);
  auto out_there = context->device().allocate(n * sizeof(float));
  context->stream().launch(*program, {64}, {x_there, n, y_there, out_there});

  std::vector<double> expected(n);
  for (int64_t i = 0; i < n; ++i) expected[i] = static_cast<float>(x[i] + y[i]);
  return example::compare(example::to_host(*context, out_there), expected, 0);
}
