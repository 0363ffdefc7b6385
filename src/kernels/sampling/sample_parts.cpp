#include "kernels/sampling/sample_parts.h"

namespace rose::kernels::sampling {

using namespace dsl;

Val is_nan(const Val& v) { return (bitcast(u32.with_lanes(v.lanes()), v) & 0x7fffffffu) > 0x7f800000u; }
Frag one_where(const Frag& v, const std::function<Val(Val)>& condition) {
  return map(
      v, [condition](Val e) { return select(condition(e), literal(e.type(), 1.0), literal(e.type(), 0.0)); });
}

// Floats in the order of integers, so that the middle of two is one of them.
Val key_of(const Val& v) {
  Val bits = bitcast(s32, v);
  return bits ^ ((bits >> 31) & 0x7fffffff);
}
Val value_of(const Val& key) { return bitcast(f32, key ^ ((key >> 31) & 0x7fffffff)); }

Frag adjusted(const SampleSpec& spec, const Settings& settings, const Frag& clean, const RowLayout& lanes,
              const std::function<Tensor(const Val& row)>& counts,
              const std::function<Tensor(const Val& row)>& bias) {
  Frag v = clean;
  if (spec.bias) {
    Val row = settings.integer(kBiasRow), given = row >= 0;
    v = map(v, load(bias(max(row, 0)), lanes),
            [given](Val e, Val b) { return e + select(given, b, literal(b.type(), 0.0)); });
  }
  if (spec.penalties) {
    Val repetition = settings.real(kRepetition), presence = settings.real(kPresence),
        frequency = settings.real(kFrequency);
    Val inverse = 1.0 / repetition;
    v = map(v, load(counts(max(settings.integer(kCountRow), 0)), lanes), [=](Val e, Val count) {
      Val repeated = select(e > 0.0, e * inverse, e * repetition);
      e = select(count != 0, repeated, e);
      Val output = to(f32, count & (kInPrompt - 1));
      return e - select(output > 0.0, fma(output, frequency, presence), literal(e.type(), 0.0));
    });
  }
  return v;
}

}  // namespace rose::kernels::sampling
