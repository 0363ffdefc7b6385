#include "row_case.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <numbers>
#include <set>

#include "number.h"

namespace rose::codegen::x86::testing {

using namespace ir;
using Inputs = std::vector<Lanes>;
using Wide = __int128;

namespace {

constexpr int kLaneCounts[] = {1, 4, 8, 16, 32};

uint64_t mask(Type type) {
  return type.scalar_bits() == 64 ? ~uint64_t{0} : (uint64_t{1} << type.scalar_bits()) - 1;
}

Wide whole(Type type, uint64_t bits) {
  if (!type.is_signed()) return bits;
  int shift = 64 - type.scalar_bits();
  return static_cast<int64_t>(bits << shift) >> shift;
}

// One result from one lane of each operand.
using LaneFunction = std::function<uint64_t(const Lanes& operands)>;

std::function<Expected(const Inputs&)> lanewise(LaneFunction f, Expected limits = {}) {
  return [=](const Inputs& in) {
    Expected expected = limits;
    expected.results.emplace_back();
    size_t n = 1;
    for (const auto& operand : in) n = std::max(n, operand.size());
    for (size_t i = 0; i < n; ++i) {
      Lanes operands;
      for (const auto& operand : in) operands.push_back(operand[operand.size() == 1 ? 0 : i]);
      expected.results[0].push_back(f(operands));
    }
    return expected;
  };
}

LaneFunction integer_function(Semantic semantic, Type t) {
  return [=](const Lanes& v) -> uint64_t {
    Wide a = whole(t, v[0]), b = v.size() > 1 ? whole(t, v[1]) : 0;
    int bits = t.scalar_bits();
    uint64_t count = v.size() > 1 ? v[1] & 0xffffffff : 0;
    Wide r = 0;
    switch (semantic) {
      case Semantic::kAdd:
        r = a + b;
        break;
      case Semantic::kSub:
        r = a - b;
        break;
      case Semantic::kMul:
        r = static_cast<Wide>(static_cast<unsigned __int128>(a) * static_cast<unsigned __int128>(b));
        break;
      case Semantic::kMulWide:
        return static_cast<uint64_t>(a * b);
      case Semantic::kMulHigh:
        r = t.is_signed()
                ? (a * b) >> bits
                : static_cast<Wide>((static_cast<unsigned __int128>(a) * static_cast<unsigned __int128>(b)) >>
                                    bits);
        break;
      case Semantic::kDiv:
        r = a / b;
        break;
      case Semantic::kRem:
        r = a % b;
        break;
      case Semantic::kMin:
        r = std::min(a, b);
        break;
      case Semantic::kMax:
        r = std::max(a, b);
        break;
      case Semantic::kFma:
        r = static_cast<Wide>(static_cast<unsigned __int128>(a) * static_cast<unsigned __int128>(b)) +
            whole(t, v[2]);
        break;
      case Semantic::kNeg:
        r = -a;
        break;
      case Semantic::kAbs:
        r = a < 0 ? -a : a;
        break;
      case Semantic::kNot:
        r = ~a;
        break;
      case Semantic::kAnd:
        r = a & b;
        break;
      case Semantic::kOr:
        r = a | b;
        break;
      case Semantic::kXor:
        r = a ^ b;
        break;
      case Semantic::kShl:
        r = count >= static_cast<uint64_t>(bits) ? 0 : static_cast<Wide>(v[0] << count);
        break;
      case Semantic::kShr:
        r = count >= static_cast<uint64_t>(bits) ? (a < 0 ? -1 : 0) : a >> count;
        break;
      default:
        r = a;
    }
    return static_cast<uint64_t>(r) & mask(t);
  };
}

long double float_function(Semantic semantic, long double a, long double b, long double c) {
  switch (semantic) {
    case Semantic::kAdd:
      return a + b;
    case Semantic::kSub:
      return a - b;
    case Semantic::kMul:
      return a * b;
    case Semantic::kDiv:
      return a / b;
    case Semantic::kMin:
      return std::fmin(a, b);
    case Semantic::kMax:
      return std::fmax(a, b);
    case Semantic::kFma:
      return std::fma(a, b, c);
    case Semantic::kNeg:
      return -a;
    case Semantic::kAbs:
      return std::abs(a);
    case Semantic::kSqrt:
      return std::sqrt(a);
    case Semantic::kRcp:
      return 1 / a;
    case Semantic::kRsqrt:
      return 1 / std::sqrt(a);
    case Semantic::kExp2:
      return std::exp2(a);
    case Semantic::kLog2:
      return std::abs(a) < 0x1p-126L ? -INFINITY : std::log2(a);  // no subnormal numbers
    case Semantic::kTanh:
      return std::tanh(a);
    case Semantic::kSin:
      return std::sin(a);
    case Semantic::kCos:
      return std::cos(a);
    case Semantic::kFloor:
      return std::floor(a);
    case Semantic::kRoundEven:
      return std::nearbyint(a);
    default:
      return a;
  }
}

Expected float_limits(Semantic semantic, Type t, const Target& target) {
  Expected limits;
  limits.flushes = t.scalar == Scalar::kBF16 && target.x86.avx512_bf16;
  switch (semantic) {
    case Semantic::kFma:
      limits.ulps = t.scalar == Scalar::kF64 && !target.x86.avx2 ? 1e9 : 1;
      break;
    case Semantic::kAdd:
    case Semantic::kSub:
    case Semantic::kMul:
    case Semantic::kDiv:
    case Semantic::kSqrt:
      limits.ulps = t.scalar == Scalar::kF64 ? 1 : 0;  // the reference has 64 bits, which round twice here
      break;
    case Semantic::kRsqrt:
      limits.ulps = 2;
      break;
    case Semantic::kExp2:
    case Semantic::kLog2:
      limits.ulps = 2, limits.flushes = true;
      break;
    case Semantic::kTanh:
      limits.ulps = 2;
      break;
    case Semantic::kSin:
    case Semantic::kCos:
      limits.absolute = 2e-7;
      break;
    default:
      break;
  }
  return limits;
}

LaneFunction real_function(Semantic semantic, Type t) {
  return [=](const Lanes& v) {
    auto at = [&](size_t i) { return i < v.size() ? decode(t, v[i]) : 0.0L; };
    return encode(t, float_function(semantic, at(0), at(1), at(2)));
  };
}

uint64_t compare(Comparison c, Type t, uint64_t a, uint64_t b) {
  auto holds = [&](auto x, auto y) {
    switch (c) {
      case Comparison::kEq:
        return x == y;
      case Comparison::kNe:
        return x < y || x > y;  // false for NaN, as in PTX
      case Comparison::kLt:
        return x < y;
      case Comparison::kLe:
        return x <= y;
      case Comparison::kGt:
        return x > y;
      default:
        return x >= y;
    }
  };
  return t.is_float() ? holds(decode(t, a), decode(t, b)) : holds(whole(t, a), whole(t, b));
}

// What an operand token of a signature means for the instance `t`.
Type token_type(const std::string& token, Type t, int lanes) {
  if (token == "t" || token == "mem") return t;
  return parse_type(token).with_lanes(lanes);
}

std::vector<Type> elements(const Row& row) {  // the scalar kinds of the row's instances
  std::vector<Type> kinds;
  if (row.types.empty()) return {Type{}};
  for (auto t : row.types)
    if (std::find(kinds.begin(), kinds.end(), t.element()) == kinds.end()) kinds.push_back(t.element());
  return kinds;
}

void add_elementwise(const Row& row, const Target& target, std::vector<Case>& cases) {
  for (auto element : elements(row))
    for (int lanes : kLaneCounts) {
      if (lanes == 1 && row.name.find("e2m1") != row.name.npos) lanes = 2;  // one is half a byte
      Type t = element.none() ? element : element.with_lanes(lanes);
      Case base{.row = &row};
      for (const auto& token : row.signature.operands) base.in.push_back(token_type(token, t, lanes));
      for (const auto& token : row.signature.results) base.out.push_back(token_type(token, t, lanes));
      auto semantic = row.semantic;
      Type from = base.in[0].element(), to = base.out[0].element();
      auto random = [in = base.in](std::mt19937_64& g, size_t i) { return random_number(g, in[i]); };
      switch (semantic) {
        case Semantic::kCompare:
          for (int c = 0; c < 6; ++c) {
            Case one = base;
            one.attributes = {c};
            one.reference = lanewise(
                [=](const Lanes& v) { return compare(static_cast<Comparison>(c), from, v[0], v[1]); });
            one.random = [=](std::mt19937_64& g, size_t i) {
              return g() % 4 ? random(g, i) : encode(from, 2);
            };
            cases.push_back(one);
          }
          continue;
        case Semantic::kSelect:
          base.reference = lanewise([](const Lanes& v) { return v[2] ? v[0] : v[1]; });
          base.in[2] = pred.with_lanes(lanes);
          break;
        case Semantic::kMove:
          base.reference = lanewise([](const Lanes& v) { return v[0]; });
          break;
        case Semantic::kConvert:
        case Semantic::kConvertNearest: {
          bool nearest = semantic == Semantic::kConvertNearest;
          Expected limits;
          limits.flushes = to.scalar == Scalar::kBF16 && target.x86.avx512_bf16;
          limits.skip_nan_input = from.is_float() && to.is_integer();
          base.reference = lanewise(
              [=](const Lanes& v) -> uint64_t {
                if (from.is_integer() && to.is_integer())
                  return static_cast<uint64_t>(whole(from, v[0])) & mask(to);
                auto value = decode(from, v[0]);
                return encode(to, nearest ? std::nearbyint(value) : value);
              },
              limits);
          break;
        }
        case Semantic::kShl:
        case Semantic::kShr:
          base.in[1] = u32.with_lanes(lanes);
          base.random = [=](std::mt19937_64& g, size_t i) { return i == 1 ? g() % 70 : random(g, i); };
          base.reference = lanewise(integer_function(semantic, from));
          break;
        case Semantic::kDiv:
        case Semantic::kRem:
          if (from.is_integer()) {
            base.random = [=](std::mt19937_64& g, size_t i) {
              auto bits = random(g, i) & mask(from);
              return i == 1 && bits == 0 ? 1 : bits;
            };
            base.reference = lanewise(integer_function(semantic, from));
            break;
          }
          [[fallthrough]];
        default:
          if (from.is_float())
            base.reference = lanewise(real_function(semantic, from), float_limits(semantic, from, target));
          else
            base.reference = lanewise(integer_function(semantic, from));
          if (semantic == Semantic::kSin || semantic == Semantic::kCos)
            base.random = [](std::mt19937_64& g, size_t) {
              return encode(f32, std::uniform_real_distribution<double>(-1e5, 1e5)(g));
            };
      }
      cases.push_back(base);
    }
}

// Cases of the operations that move lanes: `types` of the whole values and a function of them.
void add_case(std::vector<Case>& cases, const Row& row, std::vector<Type> in, std::vector<Type> out,
              std::vector<int64_t> attributes, std::function<std::vector<Lanes>(const Inputs&)> f,
              std::function<uint64_t(std::mt19937_64&, size_t)> random = {}) {
  Case one{.row = &row, .in = std::move(in), .out = std::move(out), .attributes = std::move(attributes)};
  one.reference = [f](const Inputs& inputs) { return Expected{.results = f(inputs)}; };
  one.random = std::move(random);
  cases.push_back(one);
}

std::vector<Lanes> joined(const Inputs& in) {
  Lanes all;
  for (const auto& part : in) all.insert(all.end(), part.begin(), part.end());
  return {all};
}

std::vector<Lanes> parted(const Lanes& all, size_t parts) {
  std::vector<Lanes> result;
  for (size_t i = 0; i < parts; ++i)
    result.emplace_back(all.begin() + static_cast<long>(i * all.size() / parts),
                        all.begin() + static_cast<long>((i + 1) * all.size() / parts));
  return result;
}

Lanes reduced(Semantic semantic, Type t, Lanes v) {  // by halves, as the row's comment says
  size_t n = v.size();
  if (n == 1) return v;
  auto pair = semantic == Semantic::kReduceAdd   ? Semantic::kAdd
              : semantic == Semantic::kReduceMax ? Semantic::kMax
                                                 : Semantic::kMin;
  auto f = t.is_float() ? real_function(pair, t) : integer_function(pair, t);
  Lanes half;
  for (size_t i = 0; i < n / 2; ++i) half.push_back(f({v[i], v[i + n / 2]}));
  auto folded = reduced(semantic, t, half);
  return n % 2 ? Lanes{f({folded[0], v[n - 1]})} : folded;
}

const std::vector<Type> kMoved{u8, s8, u16, s16, u32, s32, u64, s64, f16, bf16, f32, f64, e4m3, e5m2};

void add_lanes(const Row& row, const Target& target, std::vector<Case>& cases) {
  switch (row.semantic) {
    case Semantic::kSplat:
      for (auto t : kMoved)
        for (int n : kLaneCounts)
          add_case(cases, row, {t}, {t.with_lanes(n)}, {}, [=](const Inputs& in) {
            return std::vector<Lanes>{Lanes(static_cast<size_t>(n), in[0][0])};
          });
      break;
    case Semantic::kExtract:
      for (auto t : kMoved)
        for (int n : kLaneCounts)
          for (int at : {0, n / 2, n - 1})
            add_case(cases, row, {t.with_lanes(n)}, {t}, {at},
                     [=](const Inputs& in) { return std::vector<Lanes>{{in[0][static_cast<size_t>(at)]}}; });
      break;
    case Semantic::kInsert:
      for (auto t : kMoved)
        for (int n : kLaneCounts)
          add_case(cases, row, {t.with_lanes(n), t}, {t.with_lanes(n)}, {n / 2}, [=](const Inputs& in) {
            auto all = in[0];
            all[static_cast<size_t>(n / 2)] = in[1][0];
            return std::vector<Lanes>{all};
          });
      break;
    case Semantic::kShuffle:
      for (auto t : kMoved)
        for (int n : kLaneCounts)
          for (int m : {1, 4, 16}) {
            std::vector<int64_t> order;
            for (int i = 0; i < m; ++i) order.push_back((i * 7 + 3) % (2 * n));
            add_case(cases, row, {t.with_lanes(n), t.with_lanes(n)}, {t.with_lanes(m)}, order,
                     [=](const Inputs& in) {
                       Lanes all = joined(in)[0], picked;
                       for (auto at : order) picked.push_back(all[static_cast<size_t>(at)]);
                       return std::vector<Lanes>{picked};
                     });
          }
      break;
    case Semantic::kPack:
    case Semantic::kUnpack: {
      std::vector<std::pair<Type, int>> shapes;  // the whole value, and its number of parts
      if (row.types.empty())
        for (auto t : kMoved)
          for (int parts : {2, 3, 4, 8})
            for (int n : {1, 4, 8}) shapes.push_back({t.with_lanes(n * parts), parts});
      else
        for (auto t : row.types) shapes.push_back({t, 2});
      for (auto [t, parts] : shapes) {
        auto n = static_cast<size_t>(parts);
        std::vector<Type> pieces(n, t.with_lanes(t.lanes / parts)), all{t};
        if (row.semantic == Semantic::kPack)
          add_case(cases, row, pieces, all, {}, joined);
        else
          add_case(cases, row, all, pieces, {}, [=](const Inputs& in) { return parted(in[0], n); });
      }
      break;
    }
    case Semantic::kBitcast: {
      const std::pair<Type, Type> pairs[] = {{u32, f32},
                                             {f32, s32},
                                             {u64, f64},
                                             {f16, u16},
                                             {bf16, s16},
                                             {s64, u64},
                                             {u16.with_lanes(32), bf16.with_lanes(32)},
                                             {u8.with_lanes(16), u32.with_lanes(4)},
                                             {u32, u8.with_lanes(4)},
                                             {u32.with_lanes(16), e4m3.with_lanes(64)},
                                             {f32.with_lanes(8), bf16.with_lanes(16)},
                                             {u8, e2m1.with_lanes(2)},
                                             {e5m2.with_lanes(4), u32},
                                             {u8.with_lanes(8), e2m1.with_lanes(16)},
                                             {f16.with_lanes(2), u32}};
      for (auto [from, to] : pairs)
        add_case(cases, row, {from}, {to}, {}, [=](const Inputs& in) {
          std::vector<bool> stream;
          for (auto lane : in[0])
            for (int i = 0; i < from.scalar_bits(); ++i) stream.push_back(lane >> i & 1);
          Lanes out(to.lanes);
          for (size_t i = 0; i < stream.size(); ++i)
            out[i / static_cast<size_t>(to.scalar_bits())] |= uint64_t{stream[i]}
                                                              << (i % static_cast<size_t>(to.scalar_bits()));
          return std::vector<Lanes>{out};
        });
      break;
    }
    case Semantic::kReduceAdd:
    case Semantic::kReduceMax:
    case Semantic::kReduceMin:
      for (auto t : {f32, f64, f16, bf16, s32, u32, s64, u64, s16, u16})
        for (int n : {1, 3, 4, 8, 16, 32, 64}) {
          add_case(
              cases, row, {t.with_lanes(n)}, {t}, {},
              [=](const Inputs& in) { return std::vector<Lanes>{reduced(row.semantic, t, in[0])}; },
              [=](std::mt19937_64& g, size_t) {  // moderate numbers: no overflow, no subnormal sums
                return t.is_float() ? encode(t, static_cast<int>(g() % 4001) / 16.0 - 125) : g() & mask(t);
              });
          if (t.scalar == Scalar::kF64)  // the reference rounds twice
            cases.back().reference = [=, f = cases.back().reference](const Inputs& in) {
              auto expected = f(in);
              expected.ulps = 64;
              return expected;
            };
        }
      break;
    case Semantic::kDot:
      for (int n : {1, 2, 4, 8, 16, 24, 32}) {
        bool bytes = row.name == "dot.u8s8";
        int k = bytes ? 4 : 2;
        Type a = bytes ? u8 : bf16, b = bytes ? s8 : bf16, sum = bytes ? s32 : f32;
        add_case(
            cases, row, {sum.with_lanes(n), a.with_lanes(k * n), b.with_lanes(k * n)}, {sum.with_lanes(n)},
            {},
            [=](const Inputs& in) {
              Lanes out;
              for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
                long double total = decode(sum, in[0][i]);
                for (size_t j = i * static_cast<size_t>(k); j < (i + 1) * static_cast<size_t>(k); ++j)
                  total += decode(a, in[1][j]) * decode(b, in[2][j]);
                out.push_back(bytes ? static_cast<uint64_t>(static_cast<int64_t>(total)) & 0xffffffff
                                    : encode(f32, total));
              }
              return std::vector<Lanes>{out};
            },
            // Small multiples of 1/16, so that f32 sums are exact in any order; all bytes, extremes included.
            [=](std::mt19937_64& g, size_t i) {
              if (!bytes) return encode(i == 0 ? f32 : bf16, static_cast<int>(g() % 255) / 16.0 - 8);
              if (i == 0) return ((g() & 0xffffff) - 0x800000) & 0xffffffff;
              return g() % 4 ? g() & 0xff : i == 1 ? 0xff : g() % 2 ? 0x80 : 0x7f;
            });
      }
      break;
    case Semantic::kLookup16:
      for (int n : {1, 4, 8, 16, 32, 64, 128})
        add_case(cases, row, {u8.with_lanes(16), u8.with_lanes(n)}, {u8.with_lanes(n)}, {},
                 [](const Inputs& in) {
                   Lanes out;
                   for (auto index : in[1]) out.push_back(in[0][index & 15]);
                   return std::vector<Lanes>{out};
                 });
      break;
    case Semantic::kLoad:
    case Semantic::kStore: {
      if (row.name == "st.global.stream") {
        for (auto t : {f32.with_lanes(4), f32.with_lanes(8), f32.with_lanes(16), bf16.with_lanes(32),
                       u8.with_lanes(64)})
          add_case(cases, row, {t}, {t}, {}, joined);
        break;
      }
      for (auto element : elements(row))
        for (int n : kLaneCounts)
          for (int k : {1, 2, 4}) {
            std::vector<Type> values(static_cast<size_t>(k), element.with_lanes(n));
            add_case(cases, row, values, values, {}, [](const Inputs& in) { return in; });
          }
      break;
    }
    case Semantic::kAtomicAdd:
      for (auto t : row.types) {  // memory and addend to the old and the new value
        auto add = t.is_float() ? real_function(Semantic::kAdd, t) : integer_function(Semantic::kAdd, t);
        add_case(
            cases, row, {t, t}, {t, t}, {},
            [=](const Inputs& in) { return std::vector<Lanes>{{add({in[0][0], in[1][0]})}, in[0]}; },
            [=](std::mt19937_64& g, size_t) {
              return t.is_float() ? encode(t, static_cast<int>(g() % 1000)) : g() & mask(t);
            });
      }
      break;
    default:
      break;
  }
}

}  // namespace

uint64_t random_number(std::mt19937_64& g, Type type) {
  if (type.is_pred()) return g() & 1;
  auto any = g() & mask(type);
  if (!type.is_float()) {
    if (g() % 4) return any;
    const uint64_t extremes[] = {0, 1, mask(type), mask(type) >> 1, (mask(type) >> 1) + 1};
    return extremes[g() % 5];
  }
  if (type.scalar_bits() < 16) return any;
  switch (g() % 8) {
    case 0:
      return any;  // all magnitudes, NaN too
    case 1: {
      const long double special[] = {0.0L, -0.0L, INFINITY, -INFINITY, std::nanl(""), 1,    -1,
                                     0.5L, 65504, 65520,    448,       464,           57344};
      return encode(type, special[g() % std::size(special)]);
    }
    case 2:
      return encode(type,
                    static_cast<int>(g() % 600) - 300 + (g() % 2 ? 0.5L : 0.0L));  // ties, ends of 8 bits
    case 3:
      return encode(type, (static_cast<int>(g() % 3) - 1) *
                              std::exp2(std::uniform_real_distribution<double>(-30, 40)(g)));
    default:
      return encode(type, std::normal_distribution<double>(0, 8)(g));
  }
}

std::string Case::name() const {
  std::string text = row->name + " (";
  for (auto t : in) text += to_string(t) + " ";
  text += "->";
  for (auto t : out) text += " " + to_string(t);
  text += ")";
  for (auto a : attributes) text += fmt::format(" #{}", a);
  return text;
}

std::vector<Case> cases_of(const Row& row, const Target& target) {
  std::vector<Case> cases;
  switch (row.semantic) {
    case Semantic::kOpaque:
    case Semantic::kSpecial:
    case Semantic::kParameter:
    case Semantic::kSharedBase:
    case Semantic::kTile:
    case Semantic::kTrap:
      break;
    case Semantic::kSplat:
    case Semantic::kExtract:
    case Semantic::kInsert:
    case Semantic::kShuffle:
    case Semantic::kPack:
    case Semantic::kUnpack:
    case Semantic::kBitcast:
    case Semantic::kReduceAdd:
    case Semantic::kReduceMax:
    case Semantic::kReduceMin:
    case Semantic::kDot:
    case Semantic::kLookup16:
    case Semantic::kLoad:
    case Semantic::kStore:
    case Semantic::kAtomicAdd:
      add_lanes(row, target, cases);
      break;
    default:
      add_elementwise(row, target, cases);
  }
  return cases;
}

}  // namespace rose::codegen::x86::testing
