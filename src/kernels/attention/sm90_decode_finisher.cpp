#include "kernels/attention/sm90_decode_finisher.h"

#include <optional>

namespace rose::kernels {

using namespace dsl;

namespace {

constexpr double kLog2E = 1.4426950408889634;
constexpr uint32_t kAll = 0xffffffffu;
constexpr int kRowsAtOnce = 4;  // whose pieces are read together, so that many loads are under way

size_t at(int i) { return static_cast<size_t>(i); }

class Finisher {
 public:
  Finisher(Block& block, const DecodeAttentionSm90Spec& spec, const DecodeAttentionSm90Shape& shape,
           const DecodeTensors& tensors, Handoff& results)
      : block_(block),
        spec_(spec),
        shape_(shape),
        g_(tensors),
        results_(results),
        rows_(std::min(16, shape.group)),
        factor_(spec.softcap ? kLog2E : shape.scale * kLog2E),
        lane_(bitcast(s32, block.lane())) {}

  void run() {
    const auto heads = static_cast<uint32_t>(spec_.kv_heads * shape_.row_tiles),
               tiles = static_cast<uint32_t>(shape_.row_tiles);
    Val total = bitcast(u32, load(g_.plan(0)(0))) * heads;
    Var phase(u32, 0);
    FOR (job, to(u32, block_.index()), total, to(u32, block_.grid())) {
      piece_ = job / heads, head_ = job % heads;
      Tensor record = g_.plan(to(s64, piece_) + 1);
      Pack words = load_pack(record, {}, 0, 4), more = load_pack(record, {}, 4, 4);
      token_ = words[1], first_piece_ = more[1], pieces_ = more[2];
      Val row_tile = bitcast(s32, head_ % tiles);
      first_head_ = bitcast(s32, head_ / tiles) * shape_.group + row_tile * 16;
      heads_here_ =
          shape_.row_tiles == 1 ? literal(s32, shape_.group) : min(shape_.group - row_tile * 16, 16);
      results_.wait(phase);
      phase ^= 1;
      IF (lane_ == 0) {
        results_.give_back();
      }
      IF (pieces_ != 1) {
        count_piece(g_.counters(words[0])(head_));
      }
    }
  }

 private:
  // The warp that counts a sequence's last piece adds them all; what the others wrote before they counted is
  // seen.
  void count_piece(const Tensor& counter) {
    Var before(u32, 0);
    IF (lane_ == 0) {
      before = op1("atom.global.acq_rel.gpu.add", u32, {counter.base, 1}, {counter.offset});
    }
    op("bar.warp.sync", Type{}, {kAll});
    IF (op1("shfl.idx", u32, {before, 0, 31, kAll}) == bitcast(u32, pieces_) - 1u) {
      op("fence.acq_rel.gpu", Type{}, {});
      for (int first = 0; first < rows_; first += kRowsAtOnce)
        add_pieces(first, std::min(kRowsAtOnce, rows_ - first));
      IF (lane_ == 0) {
        store(counter, 0);  // as it was found
      }
    }
  }

  // A lane holds the weight of one piece for each row, and adds width / 32 neighbouring columns. All loads of
  // several pieces are under way together: a block that adds must not fall behind the others, or it counts
  // the last piece again and again.
  void add_pieces(int first_row, int count) {
    constexpr const char* kFresh = "ld.global.relaxed.gpu";
    const int columns = shape_.width / 32, at_once = std::max(1, std::min(4, 64 / (count * columns)));
    std::vector<Val> weights, sums;
    Val mine = first_piece_ + min(lane_, pieces_ - 1);
    std::vector<Pack> states;
    for (int r = 0; r < count; ++r)
      states.push_back(load_pack(g_.states(mine)(head_)(first_row + r), {}, 0, 2, {}, kFresh));
    for (const Pack& state : states) {
      Val top = over_lanes(state[0], [](const Val& a, const Val& b) { return max(a, b); });
      Val weight = select(lane_ < pieces_, exp2((state[0] - top) * factor_), literal(f32, 0.0));
      weights.push_back(weight);
      sums.push_back(over_lanes(state[1] * weight, [](const Val& a, const Val& b) { return a + b; }));
    }
    std::vector<Var> o;
    o.reserve(at(count * columns));
    for (int i = 0; i < count * columns; ++i) o.emplace_back(f32, 0.0);
    Val column = lane_ * columns;
    FOR (p, literal(s32, 0), pieces_, at_once, Unroll{1}) {
      std::vector<Pack> values;
      for (int k = 0; k < at_once; ++k)
        for (int r = 0; r < count; ++r)
          values.push_back(load_pack(g_.parts(first_piece_ + min(p + k, pieces_ - 1))(head_)(first_row + r),
                                     to(s64, column), 0, columns, {}, kFresh));
      for (int k = 0; k < at_once; ++k)
        for (int r = 0; r < count; ++r) {
          Val weight =
              op1("shfl.idx", f32, {weights[at(r)], bitcast(u32, p + k), 31, kAll});  // zero beyond the last
          for (int i = 0; i < columns; ++i) {
            Var& sum = o[at(r * columns + i)];
            sum = fma(values[at(k * count + r)][at(i)], weight, sum);
          }
        }
    }
    for (int r = 0; r < count; ++r) {
      Val inverse = rcp(sums[at(r)]);
      IF (first_row + r < heads_here_) {
        for (int i = 0; i < columns; i += 2) {
          Val pair[2] = {o[at(r * columns + i)], o[at(r * columns + i + 1)]};
          write_decoded(spec_, shape_, g_, token_, first_head_ + (first_row + r), column + i, pair, 2,
                        inverse);
        }
      }
    }
  }

  template <class Combine>
  static Val over_lanes(Val x, Combine combine) {
    for (int distance = 16; distance; distance /= 2)
      x = combine(x, op1("shfl.bfly", f32, {x, distance, 31, kAll}));
    return x;
  }

  Block& block_;
  const DecodeAttentionSm90Spec& spec_;
  const DecodeAttentionSm90Shape& shape_;
  const DecodeTensors& g_;
  Handoff& results_;
  const int rows_;
  const double factor_;
  Val lane_;
  // Of a job.
  Val piece_, head_, token_, first_piece_, pieces_, first_head_, heads_here_;
};

}  // namespace

void write_decoded(const DecodeAttentionSm90Spec& spec, const DecodeAttentionSm90Shape& shape,
                   const DecodeTensors& tensors, const Val& token, const Val& head, const Val& column,
                   const Val* values, int count, const Val& inverse) {
  Pack packed;
  for (int i = 0; i < count; i += 2)
    packed.push_back(pack2(spec.dtype.with_lanes(2), values[i] * inverse, values[i + 1] * inverse));
  std::optional<Val> inside;
  if (spec.head_dim < shape.width) inside = column < static_cast<int32_t>(spec.head_dim);
  store_pack(tensors.out(token)(head), to(s64, column), 0, packed, inside);
}

void finish_decode(Block& block, const DecodeAttentionSm90Spec& spec, const DecodeAttentionSm90Shape& shape,
                   const DecodeTensors& tensors, Handoff& results) {
  Finisher(block, spec, shape, tensors, results).run();
}

}  // namespace rose::kernels
