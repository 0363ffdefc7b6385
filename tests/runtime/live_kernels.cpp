#include "live_kernels.h"

#include <fmt/format.h>

namespace rose::runtime {
namespace {

using Kind = ParameterInfo::Kind;

ProgramSource source(const std::string& target, const char* entry, const char* body) {
  ProgramSource s;
  s.target = target;
  s.entry = entry;
  s.code = fmt::format(".version {}\n.target {}\n.address_size 64\n{}", target == "sm_90a" ? "8.6" : "8.8",
                       target, body);
  return s;
}

}  // namespace

ProgramSource add_value_kernel(const std::string& target) {
  ProgramSource s = source(target, "add_value", R"(
.visible .entry add_value(.param .u64 x, .param .u32 count, .param .f32 value) .maxntid 256 {
  .reg .pred %p;
  .reg .b32 %i, %n, %t, %b;
  .reg .b64 %a, %o;
  .reg .f32 %v, %f;
  ld.param.u64 %a, [x];
  ld.param.u32 %n, [count];
  ld.param.f32 %v, [value];
  mov.u32 %t, %tid.x;
  mov.u32 %b, %ctaid.x;
  mad.lo.u32 %i, %b, 256, %t;
  setp.ge.u32 %p, %i, %n;
  @%p ret;
  cvta.to.global.u64 %a, %a;
  mul.wide.u32 %o, %i, 4;
  add.u64 %a, %a, %o;
  ld.global.f32 %f, [%a];
  add.f32 %f, %f, %v;
  st.global.f32 [%a], %f;
  ret;
})");
  s.parameters = {{"x", Kind::kPointer, 8}, {"count", Kind::kScalar, 4}, {"value", Kind::kScalar, 4}};
  s.threads = {256, 1, 1};
  return s;
}

ProgramSource cluster_rank_kernel(const std::string& target) {
  ProgramSource s = source(target, "cluster_rank", R"(
.visible .entry cluster_rank(.param .u64 out) {
  .reg .b32 %r, %b;
  .reg .b64 %a, %o;
  ld.param.u64 %a, [out];
  cvta.to.global.u64 %a, %a;
  mov.u32 %r, %cluster_ctarank;
  mov.u32 %b, %ctaid.x;
  mul.wide.u32 %o, %b, 4;
  add.u64 %a, %a, %o;
  st.global.u32 [%a], %r;
  ret;
})");
  s.parameters = {{"out", Kind::kPointer, 8}};
  s.threads = {32, 1, 1};
  s.cluster = {2, 1, 1};
  s.pdl = true;
  return s;
}

ProgramSource grid_barrier_kernel(const std::string& target) {
  ProgramSource s = source(target, "grid_barrier", R"(
.visible .entry grid_barrier(.param .u64 counter, .param .u64 out) .maxntid 1 {
  .reg .pred %p;
  .reg .b32 %c, %n, %b;
  .reg .b64 %k, %a, %o;
  ld.param.u64 %k, [counter];
  ld.param.u64 %a, [out];
  cvta.to.global.u64 %k, %k;
  cvta.to.global.u64 %a, %a;
  mov.u32 %n, %nctaid.x;
  mov.u32 %b, %ctaid.x;
  red.release.gpu.global.add.u32 [%k], 1;
WAIT:
  ld.acquire.gpu.global.u32 %c, [%k];
  setp.lo.u32 %p, %c, %n;
  @%p bra WAIT;
  mul.wide.u32 %o, %b, 4;
  add.u64 %a, %a, %o;
  st.global.u32 [%a], %c;
  ret;
})");
  s.parameters = {{"counter", Kind::kPointer, 8}, {"out", Kind::kPointer, 8}};
  s.cooperative = true;
  return s;
}

ProgramSource tile_kernel(const std::string& target) {
  ProgramSource s = source(target, "tile", R"(
.extern .shared .align 128 .b8 memory[];
.visible .entry tile(.param .align 128 .b8 map[128], .param .u64 out, .param .u32 x, .param .u32 y) .maxntid 128 {
  .reg .pred %p;
  .reg .b32 %t, %s, %b, %x, %y;
  .reg .b64 %m, %a, %o, %state;
  .reg .f32 %v;
  mov.u32 %t, %tid.x;
  mov.u32 %s, memory;
  add.u32 %b, %s, 512;
  ld.param.u32 %x, [x];
  ld.param.u32 %y, [y];
  mov.b64 %m, map;
  cvta.param.u64 %m, %m;
  setp.ne.u32 %p, %t, 0;
  @%p bra READY;
  mbarrier.init.shared::cta.b64 [%b], 1;
  fence.mbarrier_init.release.cluster;
  mbarrier.arrive.expect_tx.shared::cta.b64 %state, [%b], 512;
  cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%s], [%m, {%x, %y}], [%b];
READY:
  bar.sync 0;
WAIT:
  mbarrier.try_wait.parity.shared::cta.b64 %p, [%b], 0;
  @!%p bra WAIT;
  ld.param.u64 %a, [out];
  cvta.to.global.u64 %a, %a;
  mul.wide.u32 %o, %t, 4;
  add.u64 %a, %a, %o;
  mad.lo.u32 %s, %t, 4, %s;
  ld.shared.f32 %v, [%s];
  st.global.f32 [%a], %v;
  ret;
})");
  s.parameters = {{"map", Kind::kTensorMap, 128},
                  {"out", Kind::kPointer, 8},
                  {"x", Kind::kScalar, 4},
                  {"y", Kind::kScalar, 4}};
  s.threads = {128, 1, 1};
  s.shared_bytes = 520;
  return s;
}

ProgramSource faulting_kernel(const std::string& target) {
  return source(target, "fault", R"(
.visible .entry fault() {
  .reg .b64 %a;
  mov.u64 %a, 8;
  st.global.u64 [%a], %a;
  ret;
})");
}

}  // namespace rose::runtime
