// out = 2 · x through a warp-specialised pipeline on Hopper: one role starts bulk copies into a ring of
// stages, another waits for their bytes, computes, and hands the stages back. Without a Hopper GPU the kernel
// is made and assembled.
#include "cli/assembler.h"
#include "codegen/ptx/emit.h"
#include "dsl/hopper.h"
#include "example.h"

using namespace rose::dsl;

constexpr int kBoxRows = 64, kBoxColumns = 32;  // of one copy: 64 rows of 128 bytes
constexpr int kStages = 4;
constexpr int kProducer = 128, kConsumers = 256;  // threads of each role

// Block i works on the boxes i, i + grid, … down the matrix, which is 32 columns wide.
rose::ir::Kernel tma_pipeline(const Target& target) {
  Launch launch{.target = target, .threads = kProducer + kConsumers, .min_blocks = 1};
  return record("tma_pipeline", launch, [&](Block& block) {
    Val map = block.tensor_map("map_x");                                       // box [64, 32]
    auto out = block.output("out", f32, shape(dynamic("rows"), kBoxColumns));  // [rows, 32]
    Val boxes = (block.dimension("rows") + (kBoxRows - 1)) / kBoxRows;         // the last may be cut
    auto ring =
        block.shared("ring", f32, shape(kStages, kBoxRows, kBoxColumns), 128);  // (stage, row, column)
    const int bytes = kBoxRows * kBoxColumns * 4;

    Pipeline pipe(block, {.name = "boxes",
                          .stages = kStages,
                          .bytes = bytes,
                          .consumers = kConsumers,
                          .producer_role = "producer",
                          .consumer_role = "consumer",
                          .copies = {{"x", bytes}}});
    IF (block.thread32() == 0) {
      pipe.init();
    }
    sync_setup(block);

    auto produce = [&](const Val&) {
      IF ((uniform_warp(block) == 0) & elected()) {
        PipelineState state;
        FOR (box, block.index(), boxes, block.grid()) {
          Val arrived = pipe.acquire(state);
          Val stage = address_of(ring) + Val(state.stage) * static_cast<uint32_t>(bytes);
          tma_load(stage, map, {0, to(s32, box * kBoxRows)}, arrived);
          state.advance(kStages);
        }
      }
    };
    auto consume = [&](const Val&) {
      Val thread = block.thread() - kProducer;
      PipelineState state;
      FOR (box, block.index(), boxes, block.grid()) {
        pipe.wait(state);
        FOR (i, thread, kBoxRows * kBoxColumns / 4, kConsumers) {
          Val row = i / (kBoxColumns / 4), column = i % (kBoxColumns / 4) * 4;
          Pack four = load_pack(ring(to(s64, Val(state.stage)))(row), column, 0, 4);
          for (Val& v : four) v = v * 2.0;
          IF (box * kBoxRows + row < block.dimension("rows")) {
            store_pack(out(box * kBoxRows + row), column, 0, four);
          }
        }
        pipe.release(state.stage);
        state.advance(kStages);
      }
    };
    roles(block, {{"producer", kProducer, 40, produce}, {"consumer", kConsumers, 232, consume}});
  });
}

int make_without_gpu() {
  auto kernel = tma_pipeline(rose::ir::parse_target("sm_90a"));
  rose::ir::optimize(kernel);
  rose::ir::verify(kernel);
  auto ptx = rose::codegen::ptx::emit(kernel);
  fmt::print("{}\n", ptx);
  if (!rose::cli::have_ptxas())
    return fmt::print("no Hopper GPU and no ptxas here: this is as far as it goes\n"), 0;
  auto assembly = rose::cli::assemble_ptx(ptx, "sm_90a");
  fmt::print("no Hopper GPU here; assembled: {} registers, {} bytes of code\n", assembly.registers,
             assembly.code_bytes);
  for (const auto& problem : assembly.problems) fmt::print("{}\n", problem);
  return assembly.problems.empty() ? 0 : 1;
}

int main() {
  auto context = example::open_device();
  if (context->properties().target != "sm_90a") return make_without_gpu();
  auto program =
      context->device().load(rose::runtime::compile(tma_pipeline(rose::ir::parse_target("sm_90a"))));

  const int64_t rows = 100'003;
  auto x = example::some_values(static_cast<size_t>(rows * kBoxColumns), 6);
  auto x_there = example::to_device(*context, x);
  auto out_there = context->device().allocate(x.size() * sizeof(float));
  rose::runtime::TensorMapSpec spec;
  spec.type = rose::runtime::TensorMapType::kF32, spec.rank = 2, spec.base = x_there;
  spec.dims = {kBoxColumns, static_cast<uint64_t>(rows), 1, 1, 1};
  spec.strides = {kBoxColumns * sizeof(float), 0, 0, 0};
  spec.box = {kBoxColumns, kBoxRows, 1, 1, 1};
  auto map = context->device().encode_tensor_map(spec);
  context->stream().launch(*program, {static_cast<uint32_t>(context->properties().processors)},
                           {map, out_there, rows});

  std::vector<double> expected(x.begin(), x.end());
  for (double& v : expected) v *= 2;
  return example::compare(example::to_host(*context, out_there), expected, 0);
}
