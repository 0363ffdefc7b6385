// What is particular to vectors: moving lanes, dot products, byte lookups, and AMX tiles.
#include "codegen/x86/emitter.h"

#include <numeric>

#include <fmt/format.h>

namespace rose::codegen::x86 {

using enum ir::Semantic;
namespace Intrinsic = llvm::Intrinsic;

Values Emitter::emit_lanes() {
  const auto& row = *current_->row;
  bool packed = (!current_->operands.empty() && in_type(0).scalar == ir::Scalar::kE2M1) ||
                (!current_->results.empty() && out_type().scalar == ir::Scalar::kE2M1);
  auto lane = [&](size_t of) {
    auto n = attribute(0);
    if (n < 0 || n >= in_type(of).lanes) fail(fmt::format("there is no lane {}", n));
    return static_cast<uint64_t>(n);
  };
  if (packed && row.semantic != kBitcast) fail("lanes of e2m1 lie two to a byte; bitcast to u8 first");
  switch (row.semantic) {
    case kBitcast:
      if (in_type(0).bits() != out_type().bits()) fail("its operand and result differ in width");
      return {b_.CreateBitCast(in(0), held(out_type()))};
    case kSplat:
      if (in_type(0).lanes != 1) fail("its operand has several lanes");
      return {splat(in(0), out_type().lanes)};
    case kExtract: {
      auto at = lane(0);
      return {in_type(0).lanes == 1 ? in(0) : b_.CreateExtractElement(in(0), at)};
    }
    case kInsert: {
      auto at = lane(0);
      return {in_type(0).lanes == 1 ? in(1) : b_.CreateInsertElement(in(0), in(1), at)};
    }
    case kShuffle: {
      auto *a = vector_of(in(0)), *b = vector_of(in(1));
      std::vector<int> order;
      for (auto at : current_->attributes) {
        if (at < -1 || at >= 2 * lanes_of(a)) fail(fmt::format("there is no lane {}", at));
        order.push_back(static_cast<int>(at));
      }
      if (static_cast<int>(order.size()) != out_type().lanes)
        fail("it needs one lane number for each result lane");
      auto* shuffled = b_.CreateShuffleVector(a, b, order);
      return {order.size() == 1 ? b_.CreateExtractElement(shuffled, uint64_t{0}) : shuffled};
    }
    case kPack: {
      Values parts;
      for (size_t i = 0; i < current_->operands.size(); ++i) parts.push_back(in(i));
      return {concat(parts)};
    }
    case kUnpack: {
      Values parts;
      int first = 0;
      for (size_t i = 0; i < current_->results.size(); ++i) {
        parts.push_back(slice(in(0), first, out_type(i).lanes));
        first += out_type(i).lanes;
      }
      if (first != in_type(0).lanes)
        fail("its results together differ from its operand in the number of lanes");
      return parts;
    }
    case kDot: {
      int factor = row.name == "dot.bf16" ? 2 : 4;
      if (in_type(1).lanes != factor * in_type(0).lanes || in_type(2).lanes != factor * in_type(0).lanes)
        fail(fmt::format("its factors need {} lanes for each lane of the sum", factor));
      return {factor == 2 ? dot_bf16(in(0), in(1), in(2))
                          : dot_u8s8(in(0), in(1), in(2), row.name == "dot.u7s8")};
    }
    case kLookup16:
      return {lookup16(in(0), in(1))};
    case kTile:
      tile();
      return {};
    default:
      fail("its meaning is unknown here");
  }
}

Value* Emitter::splat(Value* v, int lanes) {
  return lanes == 1 ? v : b_.CreateVectorSplat(static_cast<unsigned>(lanes), v);
}

Value* Emitter::vector_of(Value* v) {
  if (v->getType()->isVectorTy()) return v;
  auto* type = llvm::FixedVectorType::get(v->getType(), 1);
  return b_.CreateInsertElement(llvm::PoisonValue::get(type), v, uint64_t{0});
}

Value* Emitter::slice(Value* v, int first, int count) {
  int n = lanes_of(v);
  if (first == 0 && count == n) return v;
  if (count == 1) return b_.CreateExtractElement(v, static_cast<uint64_t>(first));
  std::vector<int> order(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) order[static_cast<size_t>(i)] = first + i < n ? first + i : -1;
  return b_.CreateShuffleVector(vector_of(v), order);
}

Value* Emitter::concat(Values parts) {
  while (parts.size() > 1) {  // neighbours pair up, so that all shuffles stay simple
    Values joined;
    for (size_t i = 0; i < parts.size(); i += 2) {
      if (i + 1 == parts.size()) {
        joined.push_back(parts[i]);
        break;
      }
      auto *a = vector_of(parts[i]), *b = vector_of(parts[i + 1]);
      int n = lanes_of(a), m = lanes_of(b);
      if (n != m) {  // the last part of an odd number: make it as wide as its neighbour
        b = slice(b, 0, n);
      }
      std::vector<int> order(static_cast<size_t>(n + m));
      std::iota(order.begin(), order.end(), 0);
      joined.push_back(b_.CreateShuffleVector(a, b, order));
    }
    parts = std::move(joined);
  }
  return parts[0];
}

int Emitter::piece_lanes(int lanes, int bits) const {
  int width = 128, widest = features_.avx512 ? 512 : features_.avx2 ? 256 : 128;
  while (width < widest && width < lanes * bits) width *= 2;
  return width / bits;
}

Value* Emitter::by_pieces(int lanes, int width, const Values& arguments,
                          const std::function<Value*(const Values&)>& piece) {
  Values results;
  for (int first = 0; first < lanes; first += width) {
    Values parts;
    for (auto* argument : arguments) {
      int ratio = lanes_of(argument) / lanes;
      parts.push_back(slice(argument, first * ratio, width * ratio));
    }
    results.push_back(piece(parts));
  }
  return slice(concat(results), 0, lanes);
}

Value* Emitter::dot_bf16(Value* sum, Value* a, Value* b) {
  int lanes = lanes_of(sum);
  if (features_.avx512_bf16)
    return by_pieces(lanes, piece_lanes(lanes, 32), {sum, a, b}, [&](const Values& p) -> Value* {
      int n = lanes_of(p[0]);
      auto id = n == 16  ? Intrinsic::x86_avx512bf16_dpbf16ps_512
                : n == 8 ? Intrinsic::x86_avx512bf16_dpbf16ps_256
                         : Intrinsic::x86_avx512bf16_dpbf16ps_128;
      auto* type = with_lanes(b_.getBFloatTy(), 2 * n);
      return call(id, {}, {p[0], b_.CreateBitCast(p[1], type), b_.CreateBitCast(p[2], type)});
    });
  auto* words = ints(32, sum);
  auto part = [&](Value* v, bool odd) {
    auto* pair = b_.CreateBitCast(v, words);
    auto* bits = odd ? b_.CreateAnd(pair, integer(pair, 0xffff0000)) : b_.CreateShl(pair, 16);
    return b_.CreateBitCast(bits, sum->getType());
  };
  return fma(part(a, false), part(b, false), fma(part(a, true), part(b, true), sum));
}

Value* Emitter::dot_u8s8(Value* sum, Value* a, Value* b, bool small) {
  int lanes = lanes_of(sum);
  return by_pieces(lanes, piece_lanes(lanes, 32), {sum, a, b}, [&](const Values& p) -> Value* {
    int n = lanes_of(p[0]);
    if (features_.avx512_vnni) {
      auto id = n == 16  ? Intrinsic::x86_avx512_vpdpbusd_512
                : n == 8 ? Intrinsic::x86_avx512_vpdpbusd_256
                         : Intrinsic::x86_avx512_vpdpbusd_128;
      return call(id, {},
                  {p[0], b_.CreateBitCast(p[1], p[0]->getType()), b_.CreateBitCast(p[2], p[0]->getType())});
    }
    if (small) {  // two products of PMADDUBSW fit 16 bits
      auto* bytes = with_lanes(b_.getInt8Ty(), 4 * n);
      auto id = n == 16  ? Intrinsic::x86_avx512_pmaddubs_w_512
                : n == 8 ? Intrinsic::x86_avx2_pmadd_ub_sw
                         : Intrinsic::x86_ssse3_pmadd_ub_sw_128;
      auto add = n == 16  ? Intrinsic::x86_avx512_pmaddw_d_512
                 : n == 8 ? Intrinsic::x86_avx2_pmadd_wd
                          : Intrinsic::x86_sse2_pmadd_wd;
      auto* pairs = call(id, {}, {b_.CreateBitCast(p[1], bytes), b_.CreateBitCast(p[2], bytes)});
      return b_.CreateAdd(p[0], call(add, {}, {pairs, integer(pairs, 1)}));
    }
    // PMADDUBSW would saturate. Even and odd bytes are widened to 16 bits, which PMADDWD multiplies exactly.
    auto* halves = with_lanes(b_.getInt16Ty(), 2 * n);
    auto *x = b_.CreateBitCast(p[1], halves), *y = b_.CreateBitCast(p[2], halves);
    auto id = n == 16  ? Intrinsic::x86_avx512_pmaddw_d_512
              : n == 8 ? Intrinsic::x86_avx2_pmadd_wd
                       : Intrinsic::x86_sse2_pmadd_wd;
    auto* even = call(id, {}, {b_.CreateAnd(x, integer(x, 0xff)), b_.CreateAShr(b_.CreateShl(y, 8), 8)});
    auto* odd = call(id, {}, {b_.CreateLShr(x, 8), b_.CreateAShr(y, 8)});
    return b_.CreateAdd(p[0], b_.CreateAdd(even, odd));
  });
}

Value* Emitter::lookup16(Value* table, Value* index) {
  if (in_type(0).bits() != 128 || in_type(1).scalar_bits() != 8)
    fail("it needs a table u8x16 and indices u8");
  int lanes = lanes_of(index);
  int width = piece_lanes(lanes, 8);
  std::vector<int> repeat(static_cast<size_t>(width));
  for (int i = 0; i < width; ++i) repeat[static_cast<size_t>(i)] = i % 16;
  auto* wide = b_.CreateShuffleVector(table, repeat);  // PSHUFB looks up within 16 bytes
  auto* low = b_.CreateAnd(index, integer(index, 15));
  return by_pieces(lanes, width, {low}, [&](const Values& p) -> Value* {
    auto id = width == 64   ? Intrinsic::x86_avx512_pshuf_b_512
              : width == 32 ? Intrinsic::x86_avx2_pshuf_b
                            : Intrinsic::x86_ssse3_pshuf_b_128;
    return call(id, {}, {wide, p[0]});
  });
}

void Emitter::tile() {
  std::string_view name = current_->row->name;
  bool of_bytes = name.ends_with("8"), of_bf16 = name == "tile.dot.bf16";
  if (!features_.amx_bf16 && !features_.amx_int8) fail("the target has no AMX");
  if (of_bf16 && !features_.amx_bf16) fail("the target's AMX has no bf16");
  if (of_bytes && !features_.amx_int8) fail("the target's AMX has no 8-bit integers");
  auto number = [&](size_t i) {
    if (attribute(i) < 0 || attribute(i) > 7) fail(fmt::format("there is no tile {}", attribute(i)));
    return b_.getInt8(static_cast<uint8_t>(attribute(i)));
  };
  auto dot = [&](Intrinsic::ID id) { call(id, {}, {number(0), number(1), number(2)}); };
  if (name == "tile.config")
    call(Intrinsic::x86_ldtilecfg, {}, {address(in(0), 0)});
  else if (name == "tile.release")
    call(Intrinsic::x86_tilerelease, {}, {});
  else if (name == "tile.zero")
    call(Intrinsic::x86_tilezero, {}, {number(0)});
  else if (name == "tile.load")
    call(Intrinsic::x86_tileloadd64, {}, {number(0), address(in(0), 0), in(1)});
  else if (name == "tile.store")
    call(Intrinsic::x86_tilestored64, {}, {number(0), address(in(0), 0), in(1)});
  else if (of_bf16)
    dot(Intrinsic::x86_tdpbf16ps);
  else if (name == "tile.dot.s8s8")
    dot(Intrinsic::x86_tdpbssd);
  else if (name == "tile.dot.u8s8")
    dot(Intrinsic::x86_tdpbusd);
  else
    fail("its meaning is unknown here");
}

}  // namespace rose::codegen::x86
