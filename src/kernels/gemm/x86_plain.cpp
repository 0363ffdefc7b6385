// The inner loop of the plain formats. Each step takes one word (32 bits along K) of every row, spread over
// the lanes, and one word of 16 columns of every panel: rows × panels multiply-adds for rows + panels loads.
#include "kernels/gemm/x86_tile.h"

namespace rose::kernels::x86 {
namespace {

// `count` elements of an 8- or 16-bit type as one word, the rest of which is zero.
Val word_of(const Tensor& row, Type dtype, const Val& first, int count, int per_word) {
  Tensor elements = part(row, 0, dtype, 0);
  if (count == per_word) return bitcast(u32, load_pack(elements, first, 0, count)[0]);
  Type bits = dtype.bits() == 8 ? u8 : u16;
  std::optional<Val> word;
  for (int i = 0; i < count; ++i) {
    Val element = to(u32, bitcast(bits, load_pack(elements, first, i, 1)[0]));
    if (i) element = element << (i * dtype.bits());
    word = word ? *word | element : element;
  }
  return *word;
}

class Plain {
 public:
  Plain(Product& p, const std::vector<Tensor>& a_rows, const Val& panel, int panels)
      : p_(p), a_rows_(a_rows), panel_(panel) {
    whole_ = p.format.plain == s8;
    pairs_ = p.format.plain == bf16 && !p.spec.exact;
    sums_ = accumulators(a_rows.size(), panels, whole_ ? s32 : f32);
    for (int j = 0; j < panels; ++j) w_.push_back(p.w(panel + j));
  }

  Sums run() {
    int64_t k = p_.spec.k, per_word = p_.format.per_word();
    if (whole_) correct();
    FOR (word, literal(s64, 0), k / per_word, Unroll{1}) step(word, static_cast<int>(per_word));
    if (k % per_word) step(literal(s64, k / per_word), static_cast<int>(k % per_word));
    return whole_ ? scaled() : read(sums_);
  }

 private:
  void correct() {
    for (size_t j = 0; j < w_.size(); ++j) {
      Val correction = correction_of(p_, panel_ + static_cast<int64_t>(j));
      for (auto& row : sums_) row[j] = correction;
    }
  }

  Sums scaled() {
    Sums result;
    for (size_t i = 0; i < a_rows_.size(); ++i) {
      Val scale = activation_scale(p_, a_rows_[i]);
      result.emplace_back();
      for (size_t j = 0; j < w_.size(); ++j)
        result.back().push_back(to(f32, Val(sums_[i][j])) *
                                (scale_of(p_, panel_ + static_cast<int64_t>(j)) * scale));
    }
    return result;
  }

  void step(const Val& word, int count) {
    if (whole_ || pairs_)
      dots(word, count);
    else
      products(word, count);
  }

  void dots(const Val& word, int count) {
    Type element = whole_ ? u8 : bf16;
    int per_word = p_.format.per_word(), lanes = kLanes * per_word;
    std::vector<Val> w;
    for (const auto& panel : w_)
      w.push_back(load_pack(part(panel, 0, p_.format.plain, 0), word * lanes, 0, lanes)[0]);
    for (size_t i = 0; i < a_rows_.size(); ++i) {
      // Records of bytes have whole words; what lies beyond k meets zeros of W.
      Val a = word_of(a_rows_[i], element, word * per_word, whole_ ? per_word : count, per_word);
      Val spread = bitcast(element.with_lanes(lanes), splat(a, kLanes));
      for (size_t j = 0; j < w.size(); ++j)
        sums_[i][j] = op1(whole_ ? "dot.u8s8" : "dot.bf16", sums_[i][j].type(), {sums_[i][j], spread, w[j]});
    }
  }

  void products(const Val& word, int count) {
    int per_word = p_.format.per_word();
    std::vector<std::vector<Val>> w;  // [element of the word][panel]
    for (int e = 0; e < count; ++e) {
      w.emplace_back();
      for (const auto& panel : w_) w.back().push_back(expanded(panel, word, e));
    }
    for (int e = 0; e < count; ++e)
      for (size_t i = 0; i < a_rows_.size(); ++i) {
        Val a = splat(activation(p_, a_rows_[i], word * per_word, e), kLanes);
        for (size_t j = 0; j < w_.size(); ++j)
          sums_[i][j] = fma(a, w[static_cast<size_t>(e)][j], sums_[i][j]);
      }
  }

  // Element e of a word of 16 columns, as f32.
  Val expanded(const Tensor& panel, const Val& word, int e) {
    if (p_.format.plain != bf16)
      return to(f32, load_pack(part(panel, 0, p_.format.plain, 0), word * kLanes, 0, kLanes)[0]);
    Val pair = load_pack(part(panel, 0, u32, 0), word * kLanes, 0, kLanes)[0];
    return bitcast(f32.with_lanes(kLanes), e == 0 ? pair << 16 : pair & 0xffff0000u);
  }

  Product& p_;
  const std::vector<Tensor>& a_rows_;
  Val panel_;
  bool whole_, pairs_;
  std::vector<Tensor> w_;
  std::vector<std::vector<Var>> sums_;
};

// The vectors that follow the panels of s8 weights.
Val beside(Product& p, int which, Type dtype, const Val& panel) {
  int64_t columns = p.panels() * kLanes, body = columns * ((p.spec.k + 3) / 4 * 4);
  return load_pack(part(p.w, body + which * 4 * columns, dtype, columns), panel * kLanes, 0, kLanes)[0];
}

}  // namespace

Val correction_of(Product& p, const Val& panel) { return beside(p, 0, s32, panel); }
Val scale_of(Product& p, const Val& panel) { return beside(p, 1, f32, panel); }
Val activation_scale(Product& p, const Tensor& a_row) {
  return load(part(a_row, x86_scale_offset(p.spec.k), f32, 1), 0);
}

Sums plain_sums(Product& p, const std::vector<Tensor>& a_rows, const Val& panel, int panels) {
  return Plain(p, a_rows, panel, panels).run();
}

}  // namespace rose::kernels::x86
