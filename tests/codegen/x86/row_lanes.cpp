// Cases of the operations that move lanes or memory.
#include "number.h"
#include "row_reference.h"

namespace rose::codegen::x86::testing {

using namespace ir;
using Inputs = std::vector<Lanes>;

namespace {

// `f` computes the results from the operands, all as whole values.
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

}  // namespace

void add_lanes(const Row& row, std::vector<Case>& cases) {
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
        bool bytes = row.name != "dot.bf16", small = row.name == "dot.u7s8";
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
              if (i == 1 && small) return g() % 4 ? g() & 0x7f : 0x7f;
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

}  // namespace rose::codegen::x86::testing
