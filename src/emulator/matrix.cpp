// The matrix units: tiles of 8 x 8 between shared memory and registers, mma.sync, and wgmma.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <limits>
#include <string_view>

#include "emulator/values.h"

namespace rose::emulator {
namespace {

// Two lanes of 16 bits, or four of 8 bits, as floats.
enum class Element { kBf16, kF16, kE4M3, kE5M2 };

float element(Element kind, const uint8_t* at) {
  uint16_t bits;
  switch (kind) {
    case Element::kBf16:
      std::memcpy(&bits, at, 2);
      return bf16_to_float(bits);
    case Element::kF16:
      std::memcpy(&bits, at, 2);
      return f16_to_float(bits);
    case Element::kE4M3:
      return static_cast<float>(ir::e4m3_value(*at));
    default:
      return static_cast<float>(ir::e5m2_value(*at));
  }
}

int element_bytes(Element kind) { return kind == Element::kBf16 || kind == Element::kF16 ? 2 : 1; }

float packed_element(Element kind, uint64_t bits, int i) {
  const auto shifted = static_cast<uint32_t>(bits >> (8 * element_bytes(kind) * i));
  uint8_t bytes[4];
  std::memcpy(bytes, &shifted, 4);
  return element(kind, bytes);
}

// ---- ldmatrix and stmatrix: lanes 8i to 8i + 7 name the rows of matrix i; lane l holds two neighbours of
// row l / 4, or (.trans) of column l / 4.

uint8_t* row_of(Warp& warp, const Code& code, int lane, bool write) {
  int64_t offset;
  auto& block = warp.machine().shared_block(warp, lane, low_bits(warp.get(code.in[0], lane), 32), &offset);
  if (offset % 16 != 0)
    warp.fail(fmt::format("row at byte {} of shared memory is not a multiple of 16", offset), lane);
  auto wrong = write ? block.shared.check_write(offset, 16) : block.shared.check_tile_read(offset, 16);
  if (!wrong.empty()) warp.fail((write ? "writes " : "reads ") + wrong, lane);
  if (write) block.shared.written(offset, 16, warp.thread(lane));
  return block.shared.data(offset);
}

Outcome run_load_tiles(Warp& warp, const Code& code) {
  const bool transposed = code.b;
  for (int i = 0; i < code.a; ++i) {
    uint16_t tile[8][8];
    for (int row = 0; row < 8; ++row) std::memcpy(tile[row], row_of(warp, code, 8 * i + row, false), 16);
    for (int lane = 0; lane < kLanes; ++lane) {
      const int r = lane / 4, c = 2 * (lane % 4);
      const uint32_t low = transposed ? tile[c][r] : tile[r][c],
                     high = transposed ? tile[c + 1][r] : tile[r][c + 1];
      warp.set(code.out[static_cast<size_t>(i)], lane, low | high << 16);
    }
  }
  return Outcome::kDone;
}

Outcome run_store_tiles(Warp& warp, const Code& code) {
  const bool transposed = code.b;
  for (int i = 0; i < code.a; ++i) {
    uint16_t tile[8][8];
    for (int lane = 0; lane < kLanes; ++lane) {
      const auto pair = static_cast<uint32_t>(warp.get(code.in[static_cast<size_t>(i) + 1], lane));
      const int r = lane / 4, c = 2 * (lane % 4);
      (transposed ? tile[c][r] : tile[r][c]) = static_cast<uint16_t>(pair);
      (transposed ? tile[c + 1][r] : tile[r][c + 1]) = static_cast<uint16_t>(pair >> 16);
    }
    for (int row = 0; row < 8; ++row) std::memcpy(row_of(warp, code, 8 * i + row, true), tile[row], 16);
  }
  warp.machine().progress();
  return Outcome::kDone;
}

// ---- fragments of A [16, k] and of D [16, n] in one warp, as the PTX manual draws them

// A: register i holds, of row lane / 4 (+ 8 for odd i), elements from e·(lane % 4) (+ k / 2 for i >= 2) on, e
// in one register.
void read_a(Element kind, const std::function<uint64_t(int reg, int lane)>& get, int k,
            std::vector<float>& a) {
  const int per = 4 / element_bytes(kind);
  a.assign(static_cast<size_t>(16 * k), 0);
  for (int reg = 0; reg < 4; ++reg)
    for (int lane = 0; lane < kLanes; ++lane) {
      const int row = lane / 4 + 8 * (reg & 1), column = per * (lane % 4) + (reg >= 2 ? k / 2 : 0);
      const uint64_t bits = get(reg, lane);
      for (int i = 0; i < per; ++i)
        a[static_cast<size_t>(row * k + column + i)] = packed_element(kind, bits, i);
    }
}

int row_of_d(int reg, int lane) { return lane / 4 + (reg & 2 ? 8 : 0); }
int column_of_d(int reg, int lane) { return 8 * (reg / 4) + 2 * (lane % 4) + (reg & 1); }

// mma.m16n8k16 and k32: D = A·B + C.
Outcome run_mma(Warp& warp, const Code& code) {
  const auto kind = static_cast<Element>(code.b);
  const int k = code.a, per = 4 / element_bytes(kind);
  std::vector<float> a, b(static_cast<size_t>(8 * k));
  read_a(kind, [&](int reg, int lane) { return warp.get(code.in[static_cast<size_t>(reg)], lane); }, k, a);
  for (int reg = 0; reg < 2; ++reg)
    for (int lane = 0; lane < kLanes; ++lane) {
      const uint64_t bits = warp.get(code.in[static_cast<size_t>(4 + reg)], lane);
      for (int i = 0; i < per; ++i)
        b[static_cast<size_t>(lane / 4 * k + per * (lane % 4) + reg * k / 2 + i)] =
            packed_element(kind, bits, i);
    }
  float d[4][kLanes];
  for (int reg = 0; reg < 4; ++reg)
    for (int lane = 0; lane < kLanes; ++lane) {
      float sum = value_of<float>(warp.get(code.in[static_cast<size_t>(6 + reg)], lane));
      const float *x = &a[static_cast<size_t>(row_of_d(reg, lane) * k)],
                  *y = &b[static_cast<size_t>(column_of_d(reg, lane) * k)];
      for (int i = 0; i < k; ++i) sum += x[i] * y[i];
      d[reg][lane] = sum;
    }
  for (int reg = 0; reg < 4; ++reg)
    for (int lane = 0; lane < kLanes; ++lane)
      warp.set(code.out[static_cast<size_t>(reg)], lane, bits_of(d[reg][lane]));
  return Outcome::kDone;
}

// ---- wgmma

// A tile in shared memory as a descriptor says it. `mn` counts rows of A or columns of B.
struct Tile {
  int64_t start, leading, stride;
  int swizzle;  // bytes of a row of the pattern; 16: none
  bool mn_major;
  Element kind;

  Tile(uint64_t descriptor, bool transposed, Element element) : mn_major(transposed), kind(element) {
    start = static_cast<int64_t>(descriptor & 0x3fff) * 16;
    leading = static_cast<int64_t>(descriptor >> 16 & 0x3fff) * 16;
    stride = static_cast<int64_t>(descriptor >> 32 & 0x3fff) * 16;
    constexpr int kSwizzles[] = {16, 128, 64, 32};
    swizzle = kSwizzles[descriptor >> 62];
  }

  // The address of an element, which the hardware swizzles by the address's own bits.
  int64_t address(int mn, int k) const {
    const int bytes = element_bytes(kind), wide = swizzle / bytes;  // elements of a row of the pattern
    int64_t at = start;
    if (!mn_major)
      at += swizzle == 16 ? mn / 8 * stride + mn % 8 * 16 + k * bytes / 16 * leading + k * bytes % 16
                          : mn / 8 * stride + mn % 8 * swizzle + k * bytes;
    else
      at += swizzle == 16 ? mn / wide * stride + k / 8 * leading + k % 8 * 16 + mn % wide * bytes
                          : mn / wide * leading + k / 8 * stride + k % 8 * swizzle + mn % wide * bytes;
    const int64_t chunks = swizzle / 16;
    return chunks < 2 ? at : at ^ ((at >> 7 & (chunks - 1)) << 4);
  }
};

constexpr float kPoison = std::numeric_limits<float>::quiet_NaN();

// A[rows, k] or B[n, k] as floats, and a sum of the bytes of each row. A tile may reach beyond what a kernel
// uses, into memory that is not its own at the moment: such rows are NaN, with 0 for a sum, and what becomes
// of them is the kernel's affair.
std::vector<uint64_t> read_tile(Warp& warp, const Tile& tile, int first, int rows, int k,
                                std::vector<float>& values) {
  auto& shared = warp.block().shared;
  const int bytes = element_bytes(tile.kind);
  std::vector<uint64_t> sums(static_cast<size_t>(rows), 0xcbf29ce484222325ull);
  values.resize(static_cast<size_t>(rows * k));
  // Along the contiguous direction, 16 bytes at a time.
  const int run = 16 / bytes, outer = tile.mn_major ? k : rows, inner = tile.mn_major ? rows : k;
  for (int o = 0; o < outer; ++o)
    for (int i = 0; i < inner; i += run) {
      const int mn = tile.mn_major ? first + i : first + o, at = tile.mn_major ? o : i;
      const int64_t offset = tile.address(mn, at) - kSharedBase;
      const auto wrong = shared.check_async_read(offset, 16);
      if (!wrong.empty() && (offset < 0 || offset + 16 > shared.size()))
        warp.fail(fmt::format("reads, for row {} and k {} of an operand, {}", mn, at, wrong));
      if (!wrong.empty())
        warp.note(fmt::format("reads, for row {} and k {} of an operand, {}", mn, at, wrong));
      const uint8_t* data = shared.data(offset);
      uint64_t words[2];
      std::memcpy(words, data, 16);
      for (int e = 0; e < run; ++e) {
        const int row = tile.mn_major ? i + e : o, column = tile.mn_major ? o : i + e;
        auto& sum = sums[static_cast<size_t>(row)];
        sum = !wrong.empty() || sum == 0
                  ? 0
                  : ((sum ^ words[0]) * 0x100000001b3ull ^ words[1]) * 0x100000001b3ull | 1;
        values[static_cast<size_t>(row * k + column)] = element(tile.kind, data + e * bytes);
      }
    }
  for (int row = 0; row < rows; ++row)
    if (sums[static_cast<size_t>(row)] == 0) std::fill_n(&values[static_cast<size_t>(row * k)], k, kPoison);
  return sums;
}

struct Shape {
  int n, k;
  bool registers;  // A comes from them
  Element kind;
};

Shape shape_of(const Code& code) {
  return {code.a & 0x1ff, code.a >> 9 & 0xff, (code.a >> 17 & 1) != 0, static_cast<Element>(code.b)};
}

bool transposed(const Code& code, bool a) {
  const auto& attributes = code.instruction->attributes;
  if (attributes.size() < 3) return false;
  if (a) return !shape_of(code).registers && attributes[2] != 0;
  return attributes.back() != 0;
}

// Both operands as they are now.
void read_operands(Warp& warp, Product& p, std::vector<float>& a, std::vector<float>& b) {
  const auto shape = shape_of(*p.code);
  if (shape.registers)
    read_a(
        shape.kind, [&](int reg, int lane) { return p.fragment[static_cast<size_t>(reg * kLanes + lane)]; },
        shape.k, a);
  else
    p.sums_a = read_tile(warp, Tile(p.a, transposed(*p.code, true), shape.kind), 16 * (warp.number() % 4), 16,
                         shape.k, a);
  p.sums_b = read_tile(warp, Tile(p.b, transposed(*p.code, false), shape.kind), 0, shape.n, shape.k, b);
}

// Rows that have changed since the product was issued are NaN.
void poison_changed(Warp& warp, const std::vector<uint64_t>& before, const std::vector<uint64_t>& now, int k,
                    std::vector<float>& values, const char* operand) {
  for (size_t row = 0; row < now.size(); ++row) {
    if (before[row] == now[row] && now[row] != 0) continue;
    if (before[row] != now[row])
      warp.note(fmt::format("row {} of {} in shared memory was changed before the product was waited for",
                            row, operand));
    std::fill_n(&values[row * static_cast<size_t>(k)], k, kPoison);
  }
}

// Nobody else may touch the accumulators, nor change what A's registers held.
void own(Warp& warp, const Product& p) {
  for (auto reg : p.code->out) warp.owned[reg] |= kAccumulator;
  if (!shape_of(*p.code).registers) return;
  for (size_t i = 0; i < 4; ++i)
    if (auto reg = p.code->in[i].reg; reg != ir::kNoReg) warp.owned[reg] |= kFragment;
}

// Issued: from now on the accumulators, and fragments of A, belong to the product.
Outcome run_product(Warp& warp, const Code& code) {
  const auto shape = shape_of(code);
  if (code.instruction->attributes.size() >= 2 && (code.attribute(0) != 1 || code.attribute(1) != 1))
    warp.fail("the emulator does not know negated operands");
  Product p;
  p.code = &code, p.mask = warp.active();
  size_t next = 0;
  if (shape.registers) {
    p.fragment.resize(4 * kLanes);
    for (; next < 4; ++next) {
      if (!warp.owned.empty() && warp.owned[code.in[next].reg] & kAccumulator)
        warp.fail("a fragment of A is an accumulator of a product under way");
      for (int lane = 0; lane < kLanes; ++lane)
        p.fragment[next * kLanes + static_cast<size_t>(lane)] = warp.get(code.in[next], lane);
    }
  } else {
    p.a = warp.uniform(code.in[next++], "the descriptor of A");
  }
  p.b = warp.uniform(code.in[next++], "the descriptor of B");
  p.accumulate = warp.uniform(code.in[next], "whether to accumulate") & 1;
  std::vector<float> a, b;
  read_operands(warp, p, a, b);
  if (warp.owned.empty()) warp.owned.assign(warp.program().kernel.registers.size(), 0);
  own(warp, p);
  warp.products.push_back(std::move(p));
  return Outcome::kDone;
}

void finish_product(Warp& warp, const Product& p) {
  const auto shape = shape_of(*p.code);
  std::vector<float> a, b;
  Product now = p;
  read_operands(warp, now, a, b);
  poison_changed(warp, p.sums_a, now.sums_a, shape.k, a, "A");
  poison_changed(warp, p.sums_b, now.sums_b, shape.k, b, "B");
  // D as a matrix, so that the compiler sees neighbouring columns; each sum is made in the order of k.
  const auto n = static_cast<size_t>(shape.n), k = static_cast<size_t>(shape.k);
  std::vector<float> d(16 * n, 0.0f), b_rows(k * n);
  for (size_t c = 0; c < n; ++c)
    for (size_t i = 0; i < k; ++i) b_rows[i * n + c] = b[c * k + i];
  const auto each_element = [&](const auto& f) {
    for (size_t reg = 0; reg < p.code->out.size(); ++reg) {
      uint64_t* values = warp.lanes(p.code->out[reg]);
      for (int lane = 0; lane < kLanes; ++lane)
        f(values[lane], d[static_cast<size_t>(row_of_d(static_cast<int>(reg), lane)) * n +
                          static_cast<size_t>(column_of_d(static_cast<int>(reg), lane))]);
    }
  };
  if (p.accumulate) each_element([](uint64_t& value, float& element) { element = value_of<float>(value); });
  for (size_t r = 0; r < 16; ++r)
    for (size_t i = 0; i < k; ++i) {
      const float x = a[r * k + i];
      const float* row = &b_rows[i * n];
      float* sums = &d[r * n];
      for (size_t c = 0; c < n; ++c) sums[c] += x * row[c];
    }
  each_element([](uint64_t& value, float& element) { value = bits_of(element); });
}

Outcome run_commit(Warp& warp, const Code&) {
  warp.groups.push_back(std::move(warp.products));
  warp.products.clear();
  ++warp.committed;
  warp.machine().progress();  // others of the warpgroup may wait for it
  return Outcome::kDone;
}

// The four warps work on one product together: none goes on before all have issued it, and what has ended for
// one of them has ended for all, so that one warp may give the operands' memory back.
Outcome run_wait(Warp& warp, const Code& code) {
  const auto keep = static_cast<uint64_t>(code.attribute(0));
  const uint64_t wanted = warp.committed > keep ? warp.committed - keep : 0;
  auto& warps = warp.block().warps;
  const size_t first = static_cast<size_t>(warp.number()) / 4 * 4, end = std::min(first + 4, warps.size());
  for (size_t i = first; i < end; ++i)
    if (warps[i]->committed < wanted)
      return warp.wait(
          fmt::format("wgmma: warp {} has not issued its part of the product", warps[i]->number()));
  for (size_t i = first; i < end; ++i) {
    auto& other = *warps[i];
    while (other.committed - other.groups.size() < wanted) {
      for (const auto& product : other.groups.front()) finish_product(other, product);
      other.groups.pop_front();
    }
  }
  // What is not under way any more is free again.
  if (warp.owned.empty()) return Outcome::kDone;
  std::fill(warp.owned.begin(), warp.owned.end(), uint8_t{0});
  for (const auto& group : warp.groups)
    for (const auto& p : group) own(warp, p);
  for (const auto& p : warp.products) own(warp, p);
  if (warp.groups.empty() && warp.products.empty()) warp.owned.clear();
  warp.machine().progress();
  return Outcome::kDone;
}

Outcome do_nothing(Warp&, const Code&) { return Outcome::kDone; }

bool element_of(std::string_view name, Element* kind) {
  constexpr std::pair<std::string_view, Element> kNames[] = {
      {"bf16", Element::kBf16}, {"f16", Element::kF16}, {"e4m3", Element::kE4M3}, {"e5m2", Element::kE5M2}};
  for (auto [known, value] : kNames)
    if (name == known) return *kind = value, true;
  return false;
}

}  // namespace

Handler matrix_handler(const ir::Row& row, Code& code) {
  const std::string_view name = row.name;
  if (name.starts_with("ldmatrix.x") || name.starts_with("stmatrix.x")) {
    code.a = name[10] - '0', code.b = name.ends_with(".trans");
    return name[0] == 'l' ? run_load_tiles : run_store_tiles;
  }
  if (name == "wgmma.fence") return code.reads_accumulators = true, do_nothing;
  if (name == "wgmma.commit_group") return run_commit;
  if (name == "wgmma.wait_group") return code.reads_accumulators = true, run_wait;
  int n = 0, k = 0, end = 0;
  Element kind;
  if (std::sscanf(row.name.c_str(), "mma.m16n8k%d.f32.%n", &k, &end) == 1 && end > 0) {
    if (!element_of(name.substr(static_cast<size_t>(end)), &kind) || k * element_bytes(kind) != 32)
      return nullptr;
    return code.a = k, code.b = static_cast<int>(kind), run_mma;
  }
  if (std::sscanf(row.name.c_str(), "wgmma.m64n%dk%d.f32.%n", &n, &k, &end) == 2 && end > 0) {
    auto rest = name.substr(static_cast<size_t>(end));
    if (!element_of(rest.substr(0, rest.find('.')), &kind) || rest.find('.') != rest.rfind('.'))
      return nullptr;
    code.a = n | k << 9 | static_cast<int>(rest.ends_with(".rs")) << 17, code.b = static_cast<int>(kind);
    code.reads_accumulators = true;
    return run_product;
  }
  return nullptr;
}

}  // namespace rose::emulator
