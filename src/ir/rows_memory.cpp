// Loads, stores, atomics, reductions and cache control. Addresses are one register plus attribute 0, a byte
// offset.
#include "ir/rows.h"

namespace rose::ir {
namespace {

// Every type that one register may hold; 8-bit kinds travel in 16-bit registers.
const std::vector<Type> kHeld{u8,
                              s8,
                              e4m3,
                              e5m2,
                              u16,
                              s16,
                              f16,
                              bf16,
                              e4m3.with_lanes(2),
                              e5m2.with_lanes(2),
                              u32,
                              s32,
                              f32,
                              f16.with_lanes(2),
                              bf16.with_lanes(2),
                              e4m3.with_lanes(4),
                              e5m2.with_lanes(4),
                              u8.with_lanes(4),
                              s8.with_lanes(4),
                              u64,
                              s64,
                              f64,
                              f32.with_lanes(2)};

Effects effects(Space space, bool write, bool sync) {
  return {.reads = !write, .writes = write, .sync = sync, .space = space};
}

Row load(const std::string& name, const std::string& text, Space space, const char* address,
         bool sync = false, Availability available = kGpu) {
  return {.name = name,
          .semantic = Semantic::kLoad,
          .text = text + "$v.$b $R, [$0$+0];",
          .types = kHeld,
          .signature = {{"t*"}, {address}, 1},
          .available = available,
          .effects = effects(space, false, sync)};
}

Row store(const std::string& name, const std::string& text, Space space, const char* address,
          bool sync = false, Availability available = kGpu) {
  return {.name = name,
          .semantic = Semantic::kStore,
          .text = text + "$o.$b [$0$+0], $[1:];",
          .types = kHeld,
          .signature = {{}, {address, "t*"}, 1},
          .available = available,
          .effects = effects(space, true, sync)};
}

}  // namespace

std::vector<Row> memory_rows() {
  std::vector<Row> rows;
  rows.push_back(load("ld.global", "ld.global", Space::kGlobal, "ptr", false, kEverywhere));
  rows.push_back(store("st.global", "st.global", Space::kGlobal, "ptr", false, kEverywhere));
  rows.push_back(load("ld.shared", "ld.shared", Space::kShared, "smem", false, kEverywhere));
  rows.push_back(store("st.shared", "st.shared", Space::kShared, "smem", false, kEverywhere));
  rows.push_back(load("ld.shared::cluster", "ld.shared::cluster", Space::kSharedCluster, "u32"));
  rows.push_back(store("st.shared::cluster", "st.shared::cluster", Space::kSharedCluster, "u32"));

  for (const char* hint :
       {".nc", ".nc.L1::no_allocate", ".nc.L1::no_allocate.L2::128B", ".nc.L1::no_allocate.L2::256B",
        ".nc.L2::128B", ".nc.L2::256B", ".nc.L1::evict_first", ".nc.L1::evict_last", ".L1::no_allocate",
        ".L1::evict_first", ".L1::evict_last", ".L2::128B", ".L2::256B", ".ca", ".cg", ".cs", ".lu", ".cv"})
    rows.push_back(
        load("ld.global" + std::string(hint), "ld.global" + std::string(hint), Space::kGlobal, "ptr"));
  for (const char* hint :
       {".L1::no_allocate", ".L1::evict_first", ".L1::evict_last", ".wb", ".cg", ".cs", ".wt"})
    rows.push_back(
        store("st.global" + std::string(hint), "st.global" + std::string(hint), Space::kGlobal, "ptr"));

  // With an L2 policy made by createpolicy as a last operand.
  rows.push_back({.name = "ld.global.nc.L2::cache_hint",
                  .semantic = Semantic::kOpaque,
                  .text = "ld.global.nc.L1::no_allocate.L2::cache_hint$v.$b $R, [$0$+0], $1;",
                  .types = kHeld,
                  .signature = {{"t*"}, {"ptr", "u64"}, 1},
                  .available = kGpu,
                  .effects = kReadGlobal});
  rows.push_back({.name = "st.global.L2::cache_hint",
                  .semantic = Semantic::kOpaque,
                  .text = "st.global.L2::cache_hint$o.$b [$0$+0], $[2:], $1;",
                  .types = kHeld,
                  .signature = {{}, {"ptr", "u64", "t*"}, 1},
                  .available = kGpu,
                  .effects = kWriteGlobal});

  for (const char* scope : {"cta", "cluster", "gpu", "sys"}) {
    std::string s(scope);
    for (const char* order : {"relaxed", "acquire"})
      rows.push_back(load("ld.global." + std::string(order) + "." + s,
                          "ld." + std::string(order) + "." + s + ".global", Space::kGlobal, "ptr", true));
    for (const char* order : {"relaxed", "release"})
      rows.push_back(store("st.global." + std::string(order) + "." + s,
                           "st." + std::string(order) + "." + s + ".global", Space::kGlobal, "ptr", true));
  }
  rows.push_back(load("ld.shared::cluster.acquire", "ld.acquire.cluster.shared::cluster",
                      Space::kSharedCluster, "u32", true));
  rows.push_back(load("ld.volatile.global", "ld.volatile.global", Space::kGlobal, "ptr", true));
  rows.push_back(store("st.volatile.global", "st.volatile.global", Space::kGlobal, "ptr", true));
  rows.push_back(load("ld.volatile.shared", "ld.volatile.shared", Space::kShared, "smem", true));

  // 256-bit global accesses of Blackwell: eight 32-bit or four 64-bit registers.
  Row wide_load = load("ld.global.v8", "ld.global.nc", Space::kGlobal, "ptr", false, {0, 88, 88, false});
  wide_load.types = {u32, s32, f32, f16.with_lanes(2), bf16.with_lanes(2), e4m3.with_lanes(4)};
  wide_load.text = "ld.global.nc.v8.$b $R, [$0$+0];";
  wide_load.signature = {{"t*8"}, {"ptr"}, 1};
  rows.push_back(wide_load);
  Row wide_store = store("st.global.v8", "st.global", Space::kGlobal, "ptr", false, {0, 88, 88, false});
  wide_store.types = wide_load.types;
  wide_store.text = "st.global.v8.$b [$0$+0], $[1:];";
  wide_store.signature = {{}, {"ptr", "t*8"}, 1};
  rows.push_back(wide_store);

  // Atomics on global and shared memory.
  struct Kind {
    const char* op;
    std::vector<Type> types;
    bool bits;
  };
  const Kind kinds[] = {{"add", {u32, s32, u64, f32, f64}, false},
                        {"min", {u32, s32, u64, s64}, false},
                        {"max", {u32, s32, u64, s64}, false},
                        {"exch", {u32, u64}, true},
                        {"and", {u32, u64}, true},
                        {"or", {u32, u64}, true}};
  for (const auto& [op, types, bits] : kinds) {
    std::string name(op), type = bits ? "$b" : "$t";
    for (const char* order : {"", ".relaxed.gpu", ".acquire.gpu", ".release.gpu", ".acq_rel.gpu",
                              ".relaxed.sys", ".acq_rel.sys"}) {
      Row row{.name = "atom.global" + std::string(order) + "." + name,
              .semantic = Semantic::kOpaque,
              .text = "atom" + std::string(order) + ".global." + name + "." + type + " $r0, [$0$+0], $1;",
              .types = types,
              .signature = {{"t"}, {"ptr", "t"}, 1},
              .available = kGpu,
              .effects = {.reads = true, .writes = true, .sync = true, .space = Space::kGlobal}};
      if (name == "add" && !*order) row.semantic = Semantic::kAtomicAdd, row.available = kEverywhere;
      rows.push_back(row);
    }
    for (const char* order : {"", ".relaxed.gpu", ".release.gpu", ".relaxed.sys", ".release.sys"})
      if (name != "exch")
        rows.push_back({.name = "red.global" + std::string(order) + "." + name,
                        .text = "red" + std::string(order) + ".global." + name + "." + type + " [$0$+0], $1;",
                        .types = types,
                        .signature = {{}, {"ptr", "t"}, 1},
                        .available = kGpu,
                        .effects = {.reads = true, .writes = true, .sync = true, .space = Space::kGlobal}});
    rows.push_back({.name = "atom.shared." + name,
                    .text = "atom.shared." + name + "." + type + " $r0, [$0$+0], $1;",
                    .types = types,
                    .signature = {{"t"}, {"smem", "t"}, 1},
                    .available = kGpu,
                    .effects = {.reads = true, .writes = true, .sync = true, .space = Space::kShared}});
  }
  for (const char* space : {"global", "shared"})
    for (const char* order : {"", ".acq_rel.gpu"})
      rows.push_back(
          {.name = "atom." + std::string(space) + order + ".cas",
           .text = "atom" + std::string(order) + "." + space + ".cas.$b $r0, [$0$+0], $1, $2;",
           .types = {u32, u64},
           .signature = {{"t"}, {std::string(space) == "global" ? "ptr" : "smem", "t", "t"}, 1},
           .available = kGpu,
           .effects = {.reads = true,
                       .writes = true,
                       .sync = true,
                       .space = std::string(space) == "global" ? Space::kGlobal : Space::kShared}});
  rows.push_back({.name = "red.global.add.noftz",
                  .text = "red.global.add.noftz.$t [$0$+0], $1;",
                  .types = {f16.with_lanes(2), bf16.with_lanes(2)},
                  .signature = {{}, {"ptr", "t"}, 1},
                  .available = kGpu,
                  .effects = {.reads = true, .writes = true, .sync = true, .space = Space::kGlobal}});
  rows.push_back({.name = "red.global.add.v4.f32",
                  .text = "red.global.add.v4.f32 [$0$+0], $[1:];",
                  .signature = {{}, {"ptr", "f32*4"}, 1},
                  .available = kGpu,
                  .effects = {.reads = true, .writes = true, .sync = true, .space = Space::kGlobal}});
  rows.push_back({.name = "red.global.add.v2.f32",
                  .text = "red.global.add.v2.f32 [$0$+0], $[1:];",
                  .signature = {{}, {"ptr", "f32*2"}, 1},
                  .available = kGpu,
                  .effects = {.reads = true, .writes = true, .sync = true, .space = Space::kGlobal}});
  rows.push_back({.name = "red.global.add.noftz.v4.bf16x2",
                  .text = "red.global.add.noftz.v4.bf16x2 [$0$+0], $[1:];",
                  .signature = {{}, {"ptr", "bf16x2*4"}, 1},
                  .available = {81, 86, 88, false},
                  .effects = {.reads = true, .writes = true, .sync = true, .space = Space::kGlobal}});

  // Multimem (NVLink multicast) reductions.
  for (const char* t : {"bf16x2", "f16x2"}) {
    std::string type(t);
    rows.push_back({.name = "multimem.ld_reduce.v4." + type,
                    .text = "multimem.ld_reduce.relaxed.sys.global.add.acc::f32.v4." + type + " $R, [$0$+0];",
                    .signature = {{type + "*4"}, {"ptr"}, 1},
                    .available = {82, 86, 88, false},
                    .effects = {.reads = true, .sync = true, .space = Space::kGlobal}});
    rows.push_back({.name = "multimem.st.v4." + type,
                    .text = "multimem.st.relaxed.sys.global.v4." + type + " [$0$+0], $[1:];",
                    .signature = {{}, {"ptr", type + "*4"}, 1},
                    .available = {81, 86, 88, false},
                    .effects = {.writes = true, .sync = true, .space = Space::kGlobal}});
  }
  rows.push_back({.name = "multimem.red.add.u32",
                  .text = "multimem.red.release.sys.global.add.u32 [$0$+0], $1;",
                  .signature = {{}, {"ptr", "u32"}, 1},
                  .available = {81, 86, 88, false},
                  .effects = {.writes = true, .sync = true, .space = Space::kGlobal}});

  // Cache control. Prefetches move no data that a program can see; they are kept in place.
  auto control = [&](const char* name, const char* text, std::vector<std::string> results,
                     std::vector<std::string> operands, int attributes, bool sync) {
    rows.push_back({.name = name,
                    .text = text,
                    .signature = {std::move(results), std::move(operands), attributes},
                    .available = kGpu,
                    .effects = {.sync = sync}});
  };
  control("createpolicy.evict_first", "createpolicy.fractional.L2::evict_first.b64 $r0, 1.0;", {"u64"}, {}, 0,
          false);
  control("createpolicy.evict_last", "createpolicy.fractional.L2::evict_last.b64 $r0, 1.0;", {"u64"}, {}, 0,
          false);
  control("prefetch.global.L2", "prefetch.global.L2 [$0$+0];", {}, {"ptr"}, 1, true);
  control("prefetch.global.L2::evict_last", "prefetch.global.L2::evict_last [$0$+0];", {}, {"ptr"}, 1, true);
  control("prefetch.global.L1", "prefetch.global.L1 [$0$+0];", {}, {"ptr"}, 1, true);
  control("applypriority.L2::evict_normal", "applypriority.global.L2::evict_normal [$0$+0], 128;", {},
          {"ptr"}, 1, true);
  control("discard.L2", "discard.global.L2 [$0$+0], 128;", {}, {"ptr"}, 1, true);
  control("cvta.to.shared", "cvta.to.shared.u64 $r0, $0;", {"u64"}, {"ptr"}, 0, false);
  control("cvta.shared", "cvta.shared.u64 $r0, $0;", {"u64"}, {"u64"}, 0, false);
  return rows;
}

}  // namespace rose::ir
