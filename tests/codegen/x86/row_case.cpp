#include "row_case.h"

#include <fmt/format.h>

#include <cmath>

#include "number.h"
#include "row_reference.h"

namespace rose::codegen::x86::testing {

using namespace ir;
using Inputs = std::vector<Lanes>;

namespace {

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
// What an operand token of a signature means for the instance `t`.
Type token_type(const std::string& token, Type t, int lanes) {
  if (token == "t" || token == "mem") return t;
  return parse_type(token).with_lanes(lanes);
}

}  // namespace

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
      add_lanes(row, cases);
      break;
    default:
      add_elementwise(row, target, cases);
  }
  return cases;
}

}  // namespace rose::codegen::x86::testing
