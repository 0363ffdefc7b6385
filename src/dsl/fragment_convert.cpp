// Conversions of the values of one access, between the types that memory holds and f32.
#include <fmt/format.h>

#include "dsl/fragment_node.h"

namespace rose::dsl {
namespace {

bool gpu() { return Builder::current().kernel.target.is_gpu(); }
bool is_half(Type t) { return t.element() == f16 || t.element() == bf16; }
bool is_fp8(Type t) { return t.element() == e4m3 || t.element() == e5m2; }
bool is_byte(Type t) { return t.element() == s8 || t.element() == u8; }

void widen(const Val& v, Pack& out) {  // any value to f32 values (GPU)
  Type t = v.type();
  if (t == f32) return out.push_back(v);
  if (is_half(t) && t.lanes == 2) {
    auto [low, high] = unpack2_f32(v);
    return out.push_back(low), out.push_back(high);
  }
  if (is_fp8(t) && t.lanes == 4) {
    auto halves = op("unpack", t, {v});
    return widen(halves[0], out), widen(halves[1], out);
  }
  if (is_fp8(t) && t.lanes == 2) return widen(op1("cvt.f16x2." + ir::to_string(t), Type{}, {v}), out);
  if (is_byte(t) && t.lanes == 4) {
    bool is_signed = t.element() == s8;
    for (int i = 0; i < 4; ++i)
      out.push_back(is_signed ? to(f32, op1("bfe.s32", Type{}, {bitcast(s32, v), 8 * i, 8}))
                              : to(f32, op1("bfe.u32", Type{}, {bitcast(u32, v), 8 * i, 8})));
    return;
  }
  if (is_fp8(t)) {  // one element: as the low half of a pair
    Val pair = bitcast(t.with_lanes(2), to(u16, bitcast(u8, v)));
    return out.push_back(to(f32, op("unpack", f16.with_lanes(2),
                                    {op1("cvt.f16x2." + ir::to_string(pair.type()), Type{}, {pair})})[0]));
  }
  out.push_back(to(f32, v));
}

Val clamped_byte(const Val& v, Type type) {  // f32 to a whole number within the byte's range, as s32
  double low = type == s8 ? -128 : 0, high = type == s8 ? 127 : 255;
  return to_nearest(s32, min(max(v, low), high));
}

Pack narrow(Type type, const Pack& in) {  // f32 values to registers of memory's type (GPU)
  Pack out;
  size_t n = in.size();
  if (is_half(type)) {
    if (n % 2)
      for (const Val& v : in) out.push_back(to(type, v));
    else
      for (size_t i = 0; i < n; i += 2) out.push_back(pack2(type.with_lanes(2), in[i], in[i + 1]));
    return out;
  }
  if (is_fp8(type) && n % 2 == 0) {
    for (size_t i = 0; i < n; i += 2) out.push_back(pack2(type.with_lanes(2), in[i], in[i + 1]));
    if (n % 4) return out;
    Pack words;
    for (size_t i = 0; i < out.size(); i += 2)
      words.push_back(op1("pack", type.with_lanes(4), {out[i], out[i + 1]}));
    return words;
  }
  if (is_byte(type) && n % 4 == 0) {
    for (size_t i = 0; i < n; i += 4) {
      Val word = bitcast(u32, clamped_byte(in[i], type)) & 255;
      for (size_t k = 1; k < 4; ++k)
        word = word | (bitcast(u32, clamped_byte(in[i + k], type)) & 255) << (8 * k);
      out.push_back(bitcast(type.with_lanes(4), word));
    }
    return out;
  }
  if (is_fp8(type)) {  // one element: the low half of a pair
    for (const Val& v : in) out.push_back(to(u8, bitcast(u16, pack2(type.with_lanes(2), v, v))));
    return out;
  }
  for (const Val& v : in) out.push_back(is_byte(type) ? to(type, clamped_byte(v, type)) : to(type, v));
  return out;
}

}  // namespace

Pack convert_pack(Type type, const Pack& pack, SourceLine where) {
  Type from = pack.at(0).type().element();
  if (from == type) return pack;
  if (from != f32 && type != f32)
    throw IrError(
        fmt::format("fragments of {} convert to {} through f32", ir::to_string(from), ir::to_string(type)),
        where);
  Pack out;
  if (gpu()) {
    if (type != f32) return narrow(type, pack);
    for (const Val& v : pack) widen(v, out);
    return out;
  }
  for (const Val& v : pack) out.push_back(is_byte(type) ? to(type, clamped_byte(v, type)) : to(type, v));
  return out;
}

}  // namespace rose::dsl
