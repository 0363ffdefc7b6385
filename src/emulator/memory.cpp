// Loads, stores and atomics of threads.
#include <algorithm>
#include <string_view>

#include "emulator/values.h"

namespace rose::emulator {
namespace {

// Bytes of one of a load's or store's values in memory: of its type, whatever register holds it.
uint64_t value_bytes(const Code& code) { return static_cast<uint64_t>(code.type.bits()) / 8; }

uint64_t offset_address(Warp& warp, const Code& code, int lane) {
  return warp.get(code.in[0], lane) + static_cast<uint64_t>(code.attribute(0));
}

uint32_t shared_address(Warp& warp, const Code& code, int lane) {
  return static_cast<uint32_t>(offset_address(warp, code, lane));
}

void expect_aligned(Warp& warp, int lane, int64_t offset, uint64_t bytes) {
  if (static_cast<uint64_t>(offset) % bytes != 0)
    warp.fail(fmt::format("byte {} of shared memory is not a multiple of {}", offset, bytes), lane);
}

void load_values(Warp& warp, const Code& code, int lane, const uint8_t* from) {
  const uint64_t bytes = value_bytes(code);
  for (size_t i = 0; i < code.out.size(); ++i) {
    uint64_t bits = 0;
    std::memcpy(&bits, from + i * bytes, bytes);
    warp.set(code.out[i], lane, bits);
  }
}

void store_values(Warp& warp, const Code& code, int lane, uint8_t* to) {
  const uint64_t bytes = value_bytes(code);
  for (size_t i = 1 + static_cast<size_t>(code.a); i < code.in.size(); ++i) {
    const uint64_t bits = warp.get(code.in[i], lane);
    std::memcpy(to + (i - 1 - static_cast<size_t>(code.a)) * bytes, &bits, bytes);
  }
}

Outcome load_global(Warp& warp, const Code& code) {
  const uint64_t bytes = value_bytes(code) * code.out.size();
  warp.each([&](int lane) {
    load_values(warp, code, lane,
                warp.machine().global(warp, lane, offset_address(warp, code, lane), bytes, bytes));
  });
  return Outcome::kDone;
}

Outcome store_global(Warp& warp, const Code& code) {
  const uint64_t bytes = value_bytes(code) * (code.in.size() - 1 - static_cast<size_t>(code.a));
  warp.each([&](int lane) {
    store_values(warp, code, lane,
                 warp.machine().global(warp, lane, offset_address(warp, code, lane), bytes, bytes));
  });
  warp.machine().progress();
  return Outcome::kDone;
}

Outcome load_shared(Warp& warp, const Code& code) {
  const uint64_t bytes = value_bytes(code) * code.out.size();
  warp.each([&](int lane) {
    int64_t offset;
    auto& block = warp.machine().shared_block(warp, lane, shared_address(warp, code, lane), &offset);
    expect_aligned(warp, lane, offset, bytes);
    if (auto wrong = block.shared.check_read(offset, static_cast<int64_t>(bytes)); !wrong.empty())
      warp.fail("reads " + wrong, lane);
    load_values(warp, code, lane, block.shared.data(offset));
  });
  return Outcome::kDone;
}

Outcome store_shared(Warp& warp, const Code& code) {
  const uint64_t bytes = value_bytes(code) * (code.in.size() - 1);
  warp.each([&](int lane) {
    int64_t offset;
    auto& block = warp.machine().shared_block(warp, lane, shared_address(warp, code, lane), &offset);
    expect_aligned(warp, lane, offset, bytes);
    if (auto wrong = block.shared.check_write(offset, static_cast<int64_t>(bytes)); !wrong.empty())
      warp.fail("writes " + wrong, lane);
    uint8_t values[32];
    store_values(warp, code, lane, values);
    // What is there already, and fenced, may be written again while others read it.
    if (block.shared.holds(offset, values, static_cast<int64_t>(bytes))) return;
    std::memcpy(block.shared.data(offset), values, bytes);
    block.shared.written(offset, static_cast<int64_t>(bytes), warp.thread(lane));
  });
  warp.machine().progress();
  return Outcome::kDone;
}

enum Update { kAdd, kMin, kMax, kExchange, kAnd, kOr, kCas };

// memory op= operand; the old value, where the row has a result.
template <class T>
T updated(int update, T old, T a, T b) {
  switch (update) {
    case kAdd:
      return static_cast<T>(old + a);
    case kMin:
      return std::min(old, a);
    case kMax:
      return std::max(old, a);
    case kExchange:
      return a;
    case kCas:
      return old == a ? b : old;
    default:
      break;
  }
  if constexpr (std::is_integral_v<T>) return update == kAnd ? old & a : old | a;
  return a;
}

void update_value(Warp& warp, const Code& code, int lane, uint8_t* at) {
  with_type(code.type, [&](auto tag) {
    using T = decltype(tag);
    T old;
    std::memcpy(&old, at, sizeof old);
    const T a = value_of<T>(warp.get(code.in[1], lane));
    const T b = code.in.size() > 2 ? value_of<T>(warp.get(code.in[2], lane)) : T{};
    const T result = updated<T>(code.a, old, a, b);
    std::memcpy(at, &result, sizeof result);
    if (!code.out.empty()) warp.set(code.out[0], lane, bits_of(old));
  });
}

Outcome update_global(Warp& warp, const Code& code) {
  warp.each([&](int lane) {
    update_value(warp, code, lane,
                 warp.machine().global(warp, lane, offset_address(warp, code, lane), value_bytes(code),
                                       value_bytes(code)));
  });
  warp.machine().progress();
  return Outcome::kDone;
}

Outcome update_shared(Warp& warp, const Code& code) {
  const auto bytes = static_cast<int64_t>(value_bytes(code));
  warp.each([&](int lane) {
    int64_t offset;
    auto& block = warp.machine().shared_block(warp, lane, shared_address(warp, code, lane), &offset);
    expect_aligned(warp, lane, offset, static_cast<uint64_t>(bytes));
    if (auto wrong = block.shared.check_read(offset, bytes); !wrong.empty())
      warp.fail("updates " + wrong, lane);
    update_value(warp, code, lane, block.shared.data(offset));
    block.shared.written(offset, bytes, warp.thread(lane));
  });
  warp.machine().progress();
  return Outcome::kDone;
}

// Vectors of f32 added to memory.
Outcome add_vector(Warp& warp, const Code& code) {
  const size_t count = code.in.size() - 1;
  warp.each([&](int lane) {
    uint8_t* at = warp.machine().global(warp, lane, offset_address(warp, code, lane), 4 * count, 4 * count);
    for (size_t i = 0; i < count; ++i) {
      float value;
      std::memcpy(&value, at + 4 * i, 4);
      value += value_of<float>(warp.get(code.in[i + 1], lane));
      std::memcpy(at + 4 * i, &value, 4);
    }
  });
  warp.machine().progress();
  return Outcome::kDone;
}

Outcome do_nothing(Warp&, const Code&) { return Outcome::kDone; }

Outcome make_policy(Warp& warp, const Code& code) {
  warp.each([&](int lane) { warp.set(code.out[0], lane, 0); });
  return Outcome::kDone;
}

}  // namespace

Handler memory_handler(const ir::Row& row, Code& code) {
  const std::string_view name = row.name;
  if (name.starts_with("ld.global") || name == "ld.volatile.global") return load_global;
  if (name.starts_with("ld.shared") || name == "ld.volatile.shared") return load_shared;
  if (name == "st.global.L2::cache_hint") return code.a = 1, store_global;
  if (name.starts_with("st.global") || name == "st.volatile.global") return store_global;
  if (name.starts_with("st.shared")) return store_shared;
  if (name == "red.global.add.v2.f32" || name == "red.global.add.v4.f32") return add_vector;
  if (name.starts_with("atom.") || (name.starts_with("red.global") && name.find("noftz") == name.npos)) {
    constexpr std::pair<std::string_view, Update> kUpdates[] = {
        {".add", kAdd}, {".min", kMin}, {".max", kMax}, {".exch", kExchange},
        {".and", kAnd}, {".or", kOr},   {".cas", kCas}};
    for (auto [end, update] : kUpdates)
      if (name.ends_with(end))
        return code.a = update, name.find(".shared") != name.npos ? update_shared : update_global;
  }
  if (name.starts_with("createpolicy.")) return make_policy;
  if (name.starts_with("prefetch.") || name.starts_with("applypriority.") || name == "discard.L2")
    return do_nothing;
  return nullptr;
}

}  // namespace rose::emulator
