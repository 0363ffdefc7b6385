// Root-mean-square norm of rows, from scratch: a Spec, row fragments, and what the kernel becomes on its way
// to code.
#include "codegen/ptx/emit.h"
#include "dsl/fragment.h"
#include "example.h"

using namespace rose::dsl;

// All that the code is specialised to. A new value means a new kernel, made in milliseconds.
struct Spec {
  int64_t hidden = 1024;
  double epsilon = 1e-6;
};

// One block per row. The row stays in registers between the two passes (on x86: in the first-level cache).
rose::ir::Kernel rms_norm(const Target& target, const Spec& spec) {
  const int threads = target.is_gpu() ? 128 : 1;
  return record("rms_norm", {.target = target, .threads = threads}, [&](Block& block) {
    auto x = block.input("x", f32, shape(dynamic("rows"), spec.hidden));       // [rows, hidden]
    auto weight = block.input("weight", f32, shape(spec.hidden));              // [hidden]
    auto out = block.output("out", f32, shape(dynamic("rows"), spec.hidden));  // [rows, hidden]

    auto group = row_group(block, block.dimension("rows"));
    auto lanes = row_layout(block, group, spec.hidden, x.element_bytes());
    auto v = load(x(group.row), lanes);
    auto mean = row_sum(block, v * v) * (1.0 / static_cast<double>(spec.hidden));
    store(out(group.row), v * rsqrt(mean + spec.epsilon) * load(weight, lanes));
  });
}

// The kernel on its way to code, for an H100: what was recorded, after the passes, and as PTX.
void show_the_way(const Spec& spec) {
  auto kernel = rms_norm(rose::ir::parse_target("sm_90a"), spec);
  auto recorded = rose::ir::instruction_count(kernel.body);
  rose::ir::optimize(kernel);
  rose::ir::verify(kernel);
  fmt::print("\nIR for sm_90a ({} instructions recorded, {} after the passes):\n{}\n", recorded,
             rose::ir::instruction_count(kernel.body), rose::ir::to_string(kernel));
  fmt::print("PTX:\n{}\n", rose::codegen::ptx::emit(kernel));
}

int main() {
  Spec spec;
  show_the_way(spec);

  // The cache maps kernel, Spec and target to a loaded program: a hit, in this process or on disk, records
  // nothing.
  auto context = example::open_device();
  auto target = rose::runtime::target_of(context->properties());
  rose::runtime::ProgramKey key("example_rms_norm",
                                fmt::format("hidden={},epsilon={}", spec.hidden, spec.epsilon),
                                rose::ir::to_string(target), rose::runtime::generator_version());
  const auto& program =
      context->cache().get(key, [&] { return rose::runtime::compile(rms_norm(target, spec)); });

  const int64_t rows = 37;
  auto x = example::some_values(static_cast<size_t>(rows * spec.hidden), 1);
  auto weight = example::some_values(static_cast<size_t>(spec.hidden), 2);
  auto x_there = example::to_device(*context, x), weight_there = example::to_device(*context, weight);
  auto out_there = context->device().allocate(x.size() * sizeof(float));
  context->stream().launch(program, {static_cast<uint32_t>(rows)}, {x_there, rows, weight_there, out_there});

  std::vector<double> expected(x.size());
  for (int64_t r = 0; r < rows; ++r) {
    const float* row = &x[static_cast<size_t>(r * spec.hidden)];
    double squares = 0;
    for (int64_t i = 0; i < spec.hidden; ++i) squares += double{row[i]} * row[i];
    double scale = 1 / std::sqrt(squares / static_cast<double>(spec.hidden) + spec.epsilon);
    for (int64_t i = 0; i < spec.hidden; ++i)
      expected[static_cast<size_t>(r * spec.hidden + i)] = row[i] * scale * weight[static_cast<size_t>(i)];
  }
  // A sum of `hidden` f32 squares, a reciprocal root of 2 ulp, two products; results are below 2.
  return example::compare(example::to_host(*context, out_there), expected,
                          2 * (std::sqrt(1024.0) + 4) * 0x1p-23);
}
