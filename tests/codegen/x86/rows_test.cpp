// Executes every operation that the table says exists on x86, in every type and several numbers of lanes, on
// every feature set that this machine can run, and compares with a reference in extended precision.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "kernel_builder.h"
#include "number.h"
#include "row_case.h"

namespace rose::codegen::x86::testing {
namespace {

using ir::pred, ir::u16, ir::u64, ir::Semantic;

// Operations without a case in row_case.cpp, and the test that executes them.
const std::map<std::string, const char*> kTestedElsewhere{
    {"special", "Convention.SpecialsGridScratchAndScalars"},
    {"parameter", "Convention.SpecialsGridScratchAndScalars"},
    {"shared.base", "Convention.SpecialsGridScratchAndScalars"},
    {"prefetch.x86", "Convention.SpecialsGridScratchAndScalars"},
    {"trap", "Traps.EndTheProcess"},
    {"tile.config", "Tiles.Assemble"},
    {"tile.release", "Tiles.Assemble"},
    {"tile.zero", "Tiles.Assemble"},
    {"tile.load", "Tiles.Assemble"},
    {"tile.store", "Tiles.Assemble"},
    {"tile.dot.bf16", "Tiles.Assemble"},
    {"tile.dot.s8s8", "Tiles.Assemble"},
    {"tile.dot.u8s8", "Tiles.Assemble"}};

bool is_packed(ir::Type t) { return t.scalar == ir::Scalar::kE2M1; }

// Predicates and pairs of 4-bit numbers have no loads and stores of their own.
ir::Type in_memory(ir::Type t) {
  if (is_packed(t)) return ir::u8.with_lanes(t.lanes / 2);
  return t.is_pred() ? u16.with_lanes(t.lanes) : t;
}

int64_t bytes_of(ir::Type t) { return (in_memory(t).bits() + 7) / 8; }

// Where the operands and results of one case lie in the two buffers.
struct Place {
  int64_t in = 0, out = 0;
};

void put(std::vector<uint8_t>& memory, int64_t offset, ir::Type type, const Lanes& lanes) {
  int bits = is_packed(type) ? 4 : in_memory(type).scalar_bits();
  for (size_t i = 0; i < lanes.size(); ++i) {
    auto at = static_cast<size_t>(offset);
    if (bits == 4) {
      auto& byte = memory[at + i / 2];
      byte = static_cast<uint8_t>(i % 2 ? (byte & 15) | lanes[i] << 4 : lanes[i]);
    } else {
      std::memcpy(&memory[at + i * static_cast<size_t>(bits / 8)], &lanes[i], static_cast<size_t>(bits / 8));
    }
  }
}

Lanes get(const std::vector<uint8_t>& memory, int64_t offset, ir::Type type) {
  int bits = is_packed(type) ? 4 : in_memory(type).scalar_bits();
  Lanes lanes(type.lanes);
  for (size_t i = 0; i < lanes.size(); ++i) {
    auto at = static_cast<size_t>(offset);
    if (bits == 4)
      lanes[i] = memory[at + i / 2] >> (i % 2 ? 4 : 0) & 15;
    else
      std::memcpy(&lanes[i], &memory[at + i * static_cast<size_t>(bits / 8)], static_cast<size_t>(bits / 8));
  }
  return lanes;
}

void record(Builder& b, const Case& c, Place place, const ir::Operand& in, const ir::Operand& out) {
  if (c.row->semantic == Semantic::kLoad) {  // shared memory is memory like any other
    auto values = b.all(c.row->name, c.out, {in}, {place.in});
    for (const auto& v : values) b.store(out, v, place.out), place.out += bytes_of(v.type);
    return;
  }
  Operands operands;
  for (auto t : c.in) {
    auto v = b.load(in_memory(t), in, place.in);
    if (t.is_pred()) v = b.compare(ir::Comparison::kNe, v, ir::constant(v.type, int64_t{0}));
    if (is_packed(t)) v = b.one("bitcast", t, {v});
    operands.push_back(v);
    place.in += bytes_of(t);
  }
  if (c.row->semantic == Semantic::kStore) {
    operands.insert(operands.begin(), out);
    b.none(c.row->name, operands, {place.out});
    return;
  }
  if (c.row->semantic == Semantic::kAtomicAdd) {
    b.store(out, operands[0], place.out);
    auto old = b.one(c.row->name, c.out[0], {out, operands[1]}, {place.out});
    b.store(out, old, place.out + bytes_of(c.out[0]));
    return;
  }
  for (auto v : b.all(c.row->name, c.out, operands, c.attributes)) {
    auto t = in_memory(v.type);
    if (v.type.is_pred()) v = b.one("selp", t, {ir::constant(t, int64_t{1}), ir::constant(t, int64_t{0}), v});
    if (is_packed(v.type)) v = b.one("bitcast", t, {v});
    b.store(out, v, place.out);
    place.out += bytes_of(t);
  }
}

::testing::AssertionResult close(ir::Type type, uint64_t got, uint64_t want, const Expected& limits) {
  if (got == want) return ::testing::AssertionSuccess();
  if (type.is_float()) {
    auto a = decode(type, got), b = decode(type, want);
    if (a == b || (std::isnan(a) && std::isnan(b))) return ::testing::AssertionSuccess();
    if (limits.flushes && a == 0 && std::abs(b) < smallest_normal(type)) return ::testing::AssertionSuccess();
    if (std::isfinite(b) &&
        std::abs(a - b) <= std::max<long double>(limits.ulps * unit_in_last_place(type, b), limits.absolute))
      return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure() << fmt::format("got {:g} ({:#x}), want {:g} ({:#x})",
                                                      decode(type, got), got, decode(type, want), want);
}

class Rows : public ::testing::TestWithParam<ir::Target> {};

// All cases of one row in one kernel, run on several rounds of random operands.
void run_row(const ir::Row& row, const std::vector<Case>& cases, const ir::Target& target) {
  Builder b(target);
  auto in = b.pointer("in"), out = b.pointer("out");
  std::vector<Place> places;
  Place end;
  for (const auto& c : cases) {
    end.out = (end.out + 63) & ~int64_t{63};
    places.push_back(end);
    record(b, c, end, in, out);
    for (auto t : c.in) end.in += bytes_of(t);
    for (auto t : c.out) end.out += bytes_of(t);
  }
  Runner run(b.kernel);

  std::mt19937_64 generator(7);
  std::vector<uint8_t> inputs(static_cast<size_t>(end.in)), storage(static_cast<size_t>(end.out) + 128);
  auto skew = (64 - address(storage.data()) % 64) % 64;
  for (int round = 0; round < 24; ++round) {
    std::vector<std::vector<Lanes>> operands;
    for (size_t i = 0; i < cases.size(); ++i) {
      auto at = places[i].in;
      operands.emplace_back();
      for (size_t k = 0; k < cases[i].in.size(); ++k) {
        auto t = cases[i].in[k];
        Lanes lanes(t.lanes);
        for (auto& lane : lanes)
          lane = cases[i].random ? cases[i].random(generator, k) : random_number(generator, t);
        put(inputs, at, t, lanes);
        operands.back().push_back(std::move(lanes));
        at += bytes_of(t);
      }
    }
    std::fill(storage.begin(), storage.end(), uint8_t{0xa5});
    run({address(inputs.data()), address(storage.data()) + skew});
    for (size_t i = 0; i < cases.size(); ++i) {
      auto expected = cases[i].reference(operands[i]);
      auto at = places[i].out + static_cast<int64_t>(skew);
      ASSERT_EQ(expected.results.size(), cases[i].out.size()) << cases[i].name();
      for (size_t k = 0; k < cases[i].out.size(); ++k) {
        auto t = cases[i].out[k];
        auto got = get(storage, at, t);
        at += bytes_of(t);
        ASSERT_EQ(got.size(), expected.results[k].size()) << cases[i].name();
        for (size_t lane = 0; lane < got.size(); ++lane) {
          std::string shown;
          bool skip = false;
          for (size_t o = 0; o < operands[i].size(); ++o)
            if (operands[i][o].size() == got.size()) {
              auto type = cases[i].in[o];
              shown += fmt::format(" {:g} ({:#x})", decode(type, operands[i][o][lane]), operands[i][o][lane]);
              skip |= expected.skip_nan_input && std::isnan(decode(type, operands[i][o][lane]));
            }
          if (skip) continue;
          ASSERT_TRUE(close(t, got[lane], expected.results[k][lane], expected))
              << cases[i].name() << " result " << k << " lane " << lane << " of" << shown << " on "
              << to_string(target);
        }
      }
    }
  }
}

TEST_P(Rows, EveryX86RowComputesWhatItSays) {
  size_t rows = 0, cases = 0;
  for (const auto& row : ir::operations()) {
    if (!row.available.x86 || kTestedElsewhere.contains(row.name)) continue;
    auto list = cases_of(row, GetParam());
    ASSERT_FALSE(list.empty()) << "the operation '" << row.name << "' exists on x86 and has no test";
    run_row(row, list, GetParam());
    if (HasFatalFailure()) return;
    ++rows, cases += list.size();
  }
  std::printf("%s: %zu operations, %zu cases\n", to_string(GetParam()).c_str(), rows, cases);
}

INSTANTIATE_TEST_SUITE_P(Features, Rows, ::testing::ValuesIn(runnable_targets()), [](const auto& info) {
  auto name = info.param.x86.to_string();
  std::replace(name.begin(), name.end(), '+', '_');
  return name;
});

// No machine here has AMX: the code must at least be the right instructions in the right order.
TEST(Tiles, Assemble) {
  Builder b(ir::parse_target("x86:avx512+bf16+vnni+amx_bf16+amx_int8"));
  auto p = b.pointer("p");
  auto stride = b.scalar("stride", ir::s64);
  b.none("tile.config", {p});
  b.none("tile.zero", {}, {0});
  b.none("tile.load", {p, stride}, {1});
  b.none("tile.load", {p, stride}, {2});
  b.none("tile.dot.bf16", {}, {0, 1, 2});
  b.none("tile.dot.s8s8", {}, {3, 1, 2});
  b.none("tile.dot.u8s8", {}, {4, 1, 2});
  b.none("tile.store", {p, stride}, {0});
  b.none("tile.release", {});
  auto text = assembly(b.kernel);
  size_t at = 0;
  for (const char* instruction :
       {"ldtilecfg", "tilezero\t%tmm0", "tileloadd\t(%", "%tmm2", "tdpbf16ps\t%tmm2, %tmm1, %tmm0",
        "tdpbssd\t%tmm2, %tmm1, %tmm3", "tdpbusd\t%tmm2, %tmm1, %tmm4", "tilestored\t%tmm0", "tilerelease"}) {
    at = text.find(instruction, at);
    ASSERT_NE(at, std::string::npos) << instruction << " is missing in\n" << text;
  }
  EXPECT_GT(compile(b.kernel).size(), 64u);
}

}  // namespace
}  // namespace rose::codegen::x86::testing
