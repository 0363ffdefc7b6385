// The list of pieces that DecodeAttentionSm90 works on, made on the device from the sequences' lengths by one
// block.
#include "dsl/grid.h"
#include "kernels/attention/sm90_shape.h"
#include "kernels/launch.h"

namespace rose::kernels {

using namespace dsl;

namespace {

constexpr const char* kName = "decode_plan_sm90";
constexpr int kThreads = 256;
constexpr uint32_t kAll = 0xffffffffu;

// The sum of x over the threads before this one, and over all. `sums` has a word a warp.
struct Scan {
  Val before, total;
};
Scan scan(Block& block, const Val& x, const Tensor& sums) {
  Val lane = block.lane(), warp = block.warp();
  Val inclusive = x;
  for (uint32_t d = 1; d < 32; d *= 2) {
    Val other = op1("shfl.up", s32, {inclusive, d, 0, kAll});
    inclusive = inclusive + select(lane >= d, other, literal(s32, 0));
  }
  IF (lane == 31) {
    store_at(sums, warp, inclusive);
  }
  block.barrier();
  Var before(inclusive - x), total(s32, 0);
  for (uint32_t w = 0; w < kThreads / 32; ++w) {
    Val sum = load(sums, static_cast<int64_t>(w));
    before += select(warp > w, sum, literal(s32, 0));
    total += sum;
  }
  block.barrier();  // the words may be written again
  return {before, total};
}

}  // namespace

ir::Kernel decode_plan_sm90(const ir::Target& target, const DecodePlanSm90Spec& spec) {
  if (target.arch != ir::Arch::kSm90a)
    throw KernelError("decode_plan_sm90 exists on sm_90a, not on " + ir::to_string(target));
  require(spec.window >= 0 && spec.window <= (1 << 30), kName, "window", spec.window, "use 0 to 2^30");
  require(spec.chunk >= kDecodeKeys && spec.chunk % kDecodeKeys == 0 && spec.chunk <= (1 << 20), kName,
          "chunk", spec.chunk, "use a multiple of 64 up to 2^20");
  return record(kName, {.target = target, .threads = kThreads, .pdl = spec.pdl}, [&](Block& block) {
    Tensor lengths = block.input("lengths", s32, shape(dynamic("sequences")));
    Tensor first_queries = block.input("first_queries", s32, shape(dynamic("boundaries")));  // may be null
    // Row 0: the number of pieces. Row 1 + i: sequence, row of q, first key, key behind the last, first key
    // that the query sees, number of the sequence's first piece, its pieces, 0.
    Tensor plan = block.output("plan", s32, shape(dynamic("rows"), kDecodePlanWords));
    Tensor sums = block.shared("sums", s32, shape(kThreads / 32));
    wait_for_previous_kernel(block);
    let_next_kernel_start(block);

    Val sequences = to(s32, block.dimension("sequences")), thread = bitcast(s32, block.thread32());
    Var total(s32, 0);
    FOR (base, literal(s32, 0), sequences, kThreads) {
      Val sequence = base + thread;
      Var length(s32, 0), row(sequence);
      IF (sequence < sequences) {
        length = load(lengths, sequence);
        IF (first_queries.base != literal(u64, 0)) {
          row = load(first_queries, sequence);
          length = select(load(first_queries, sequence + 1) - row == 1, length, literal(s32, 0));
        }
      }
      Val low = spec.window ? max(length - static_cast<int32_t>(spec.window), 0) : literal(s32, 0);
      Val begin = low & ~(kDecodeKeys - 1);
      Val keys = max(length - begin, 0);
      auto divide_up = [](const Val& x, int64_t by) {  // of numbers that are not negative
        return bitcast(s32, bitcast(u32, x + static_cast<int32_t>(by - 1)) / static_cast<uint32_t>(by));
      };
      // decode_piece() of sm90_shape.h.
      Val wanted = min(divide_up(keys, 16), max(divide_up(keys, kDecodeMostPieces), 2048));
      Val piece = max(divide_up(wanted, kDecodeKeys) * kDecodeKeys, static_cast<int32_t>(spec.chunk));
      Val pieces = bitcast(s32, bitcast(u32, keys + piece - 1) / bitcast(u32, piece));
      Scan place = scan(block, pieces, sums);
      Val first = total + place.before;
      FOR (i, literal(s32, 0), pieces) {
        Tensor record = plan(first + i + 1);
        Val from = begin + i * piece;
        store_pack(record, {}, 0, {sequence, Val(row), from, min(from + piece, length)});
        store_pack(record, {}, 4, {low, first, pieces, literal(s32, 0)});
      }
      total += place.total;
    }
    IF (thread == 0) {
      store_at(plan(0), 0, total);
    }
  });
}

CatalogEntry decode_plan_sm90_entry() {
  return catalog_entry<DecodePlanSm90Spec>(kName, "the list of pieces that decode_attention_sm90 works on",
                                           decode_plan_sm90, {"", "window=4096,chunk=256,pdl=1"}, sm90_only);
}

}  // namespace rose::kernels
