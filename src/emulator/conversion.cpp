// Moves, conversions between types, packing, and where numbers of threads, parameters and addresses come
// from.
#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "emulator/values.h"

namespace rose::emulator {
namespace {

using ir::Semantic;

Outcome run_move(Warp& warp, const Code& code) {
  const int bits = code.out_type.bits();
  warp.each([&](int lane) { warp.set(code.out[0], lane, low_bits(warp.get(code.in[0], lane), bits)); });
  return Outcome::kDone;
}

// Integers to anything, and anything to integers: saturating, NaN gives zero, as cvt does.
uint64_t convert(ir::Type to, ir::Type from, uint64_t bits, bool nearest) {
  if (from.is_integer() && to.is_integer()) {
    const int width = from.bits();
    uint64_t wide = low_bits(bits, width);
    if (from.is_signed())
      wide = static_cast<uint64_t>(static_cast<int64_t>(bits << (64 - width)) >> (64 - width));
    return low_bits(wide, to.bits());
  }
  if (from.is_integer()) {
    const int width = from.bits();
    uint64_t result = 0;
    const auto write = [&](auto value) {
      if (to == ir::f32)
        result = bits_of(static_cast<float>(value));
      else if (to == ir::f64)
        result = bits_of(static_cast<double>(value));
      else
        result = ir::bits_of(to, static_cast<double>(value));
    };
    if (from.is_signed())
      write(static_cast<int64_t>(bits << (64 - width)) >> (64 - width));
    else
      write(low_bits(bits, width));
    return result;
  }
  double value = from == ir::f32   ? value_of<float>(bits)
                 : from == ir::f64 ? value_of<double>(bits)
                                   : ir::value_of(from, low_bits(bits, from.bits()));
  if (!to.is_integer()) {
    if (to == ir::f32) return bits_of(static_cast<float>(value));
    if (to == ir::f64) return bits_of(value);
    return ir::bits_of(to, value);
  }
  if (std::isnan(value)) return 0;
  value = nearest ? std::nearbyint(value) : std::trunc(value);
  uint64_t result = 0;
  with_type(to, [&](auto tag) {
    using T = decltype(tag);
    if constexpr (std::is_integral_v<T>) {
      using Limits = std::numeric_limits<T>;
      const auto low = static_cast<double>(Limits::min()), high = static_cast<double>(Limits::max());
      result = bits_of(value <= low ? Limits::min() : value >= high ? Limits::max() : static_cast<T>(value));
    }
  });
  return result;
}

Outcome run_convert(Warp& warp, const Code& code) {
  const bool nearest = code.instruction->row->semantic == Semantic::kConvertNearest;
  warp.each([&](int lane) {
    warp.set(code.out[0], lane, convert(code.out_type, code.in[0].type, warp.get(code.in[0], lane), nearest));
  });
  return Outcome::kDone;
}

// "cvt.bf16x2.f32": operand 0 goes to lane 0.
Outcome run_convert_pair(Warp& warp, const Code& code) {
  warp.each([&](int lane) {
    uint64_t result = 0;
    for (int i = 0; i < 2; ++i)
      result |=
          small_lane_bits(code.out_type, value_of<float>(warp.get(code.in[static_cast<size_t>(i)], lane)), i);
    warp.set(code.out[0], lane, result);
  });
  return Outcome::kDone;
}

// "cvt.f16x2.e4m3x2" and the way back.
Outcome run_convert_lanes(Warp& warp, const Code& code) {
  warp.each([&](int lane) {
    uint64_t result = 0;
    for (int i = 0; i < 2; ++i)
      result |= small_lane_bits(code.out_type, small_lane(code.in[0].type, warp.get(code.in[0], lane), i), i);
    warp.set(code.out[0], lane, result);
  });
  return Outcome::kDone;
}

Outcome run_pack(Warp& warp, const Code& code) {
  const int half = code.out_type.bits() / 2;
  warp.each([&](int lane) {
    warp.set(code.out[0], lane,
             low_bits(warp.get(code.in[0], lane), half) | low_bits(warp.get(code.in[1], lane), half) << half);
  });
  return Outcome::kDone;
}

Outcome run_unpack(Warp& warp, const Code& code) {
  const int half = code.in[0].type.bits() / 2;
  warp.each([&](int lane) {
    const uint64_t bits = warp.get(code.in[0], lane);
    warp.set(code.out[0], lane, low_bits(bits, half)),
        warp.set(code.out[1], lane, low_bits(bits >> half, half));
  });
  return Outcome::kDone;
}

Outcome run_special(Warp& warp, const Code& code) {
  const auto& k = warp.program().kernel;
  const auto& grid = warp.machine().launch().grid;
  const auto threads_x = static_cast<uint32_t>(k.threads[0]), threads_y = static_cast<uint32_t>(k.threads[1]);
  const auto& block = warp.block();
  warp.each([&](int lane) {
    const auto thread = static_cast<uint32_t>(warp.thread(lane));
    uint64_t value = 0;
    switch (static_cast<ir::Special>(code.attribute(0))) {
      case ir::Special::kThreadX:
        value = thread % threads_x;
        break;
      case ir::Special::kThreadY:
        value = thread / threads_x % threads_y;
        break;
      case ir::Special::kThreadZ:
        value = thread / threads_x / threads_y;
        break;
      case ir::Special::kBlockX:
        value = block.index[0];
        break;
      case ir::Special::kBlockY:
        value = block.index[1];
        break;
      case ir::Special::kBlockZ:
        value = block.index[2];
        break;
      case ir::Special::kGridX:
        value = grid[0];
        break;
      case ir::Special::kGridY:
        value = grid[1];
        break;
      case ir::Special::kGridZ:
        value = grid[2];
        break;
      case ir::Special::kBlockDimX:
        value = threads_x;
        break;
      case ir::Special::kLane:
        value = static_cast<uint64_t>(lane);
        break;
      case ir::Special::kWarp:
        value = static_cast<uint64_t>(warp.number());
        break;
      case ir::Special::kClusterRank:
        value = block.rank;
        break;
      case ir::Special::kClusterSize:
        value = block.cluster->blocks.size();
        break;
      case ir::Special::kClusterX:
        value = block.index[0] / static_cast<uint32_t>(k.cluster[0]);
        break;
      case ir::Special::kClusterGridX:
        value = grid[0] / static_cast<uint32_t>(k.cluster[0]);
        break;
      case ir::Special::kSmId:
      case ir::Special::kClock64:
      case ir::Special::kGlobalTimer:
        value = 0;
        break;  // there is no time here
    }
    warp.set(code.out[0], lane, value);
  });
  return Outcome::kDone;
}

Outcome run_parameter(Warp& warp, const Code& code) {
  const uint64_t bits = warp.machine().launch().slots[static_cast<size_t>(code.attribute(0))];
  warp.each([&](int lane) { warp.set(code.out[0], lane, low_bits(bits, code.out_type.bits())); });
  return Outcome::kDone;
}

Outcome run_shared_base(Warp& warp, const Code& code) {
  warp.each([&](int lane) { warp.set(code.out[0], lane, kSharedBase); });
  return Outcome::kDone;
}

}  // namespace

Handler conversion_handler(const ir::Row& row, Code& code) {
  switch (row.semantic) {
    case Semantic::kMove:
    case Semantic::kBitcast:
      return run_move;
    case Semantic::kConvert:
    case Semantic::kConvertNearest:
      return run_convert;
    case Semantic::kPack:
      return run_pack;
    case Semantic::kUnpack:
      return run_unpack;
    case Semantic::kSpecial:
      return run_special;
    case Semantic::kParameter:
      return run_parameter;
    case Semantic::kSharedBase:
      return run_shared_base;
    default:
      break;
  }
  if (!row.name.starts_with("cvt.")) return nullptr;
  if (code.in.size() == 2 && code.in[0].type == ir::f32) return run_convert_pair;
  if (code.in.size() == 1 && code.in[0].type.lanes == 2) return run_convert_lanes;
  return nullptr;
}

}  // namespace rose::emulator
