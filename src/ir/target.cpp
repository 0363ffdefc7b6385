#include "ir/target.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ir/error.h"

namespace rose::ir {
namespace {

uint64_t enabled_state() {  // XCR0: the register files that the operating system saves
  uint32_t low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t{high} << 32) | low;
}

bool request_amx() {
  constexpr int kArchRequestPermission = 0x1023, kTileData = 18;  // Linux, arch/x86/include/uapi/asm/prctl.h
  return syscall(SYS_arch_prctl, kArchRequestPermission, kTileData) == 0;
}

X86Features detect() {
  X86Features f;
  uint32_t a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & (1u << 27))) return f;  // OSXSAVE
  bool fma = c & (1u << 12), f16c = c & (1u << 29);
  uint64_t state = enabled_state();
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return f;
  bool ymm = (state & 0x6) == 0x6, zmm = (state & 0xe6) == 0xe6, tiles = (state & 0x60000) == 0x60000;
  f.avx2 = ymm && fma && f16c && (b & (1u << 5));
  constexpr uint32_t kFoundation = (1u << 16) | (1u << 17) | (1u << 30) | (1u << 31);  // F, DQ, BW, VL
  f.avx512 = f.avx2 && zmm && (b & kFoundation) == kFoundation;
  f.avx512_vnni = f.avx512 && (c & (1u << 11));
  f.avx512_fp16 = f.avx512 && (d & (1u << 23));
  bool amx_tile = tiles && (d & (1u << 24));
  bool amx_bf16 = amx_tile && (d & (1u << 22)), amx_int8 = amx_tile && (d & (1u << 25));
  if (__get_cpuid_count(7, 1, &a, &b, &c, &d)) f.avx512_bf16 = f.avx512 && (a & (1u << 5));
  if (f.avx512 && (amx_bf16 || amx_int8) && request_amx()) f.amx_bf16 = amx_bf16, f.amx_int8 = amx_int8;
  return f;
}

}  // namespace

X86Features host_features() {
  static const X86Features features = detect();
  return features;
}

std::string X86Features::to_string() const {
  std::string text;
  auto add = [&](bool has, const char* name) {
    if (has) text += (text.empty() ? "" : "+") + std::string(name);
  };
  add(avx2, "avx2"), add(avx512, "avx512"), add(avx512_bf16, "bf16"), add(avx512_vnni, "vnni");
  add(avx512_fp16, "fp16"), add(amx_bf16, "amx_bf16"), add(amx_int8, "amx_int8");
  return text.empty() ? "baseline" : text;
}

int Target::ptx_version() const {
  switch (arch) {
    case Arch::kSm90a:
      return 86;
    case Arch::kSm100a:
    case Arch::kSm103a:
      return 88;
    case Arch::kX86:
      return 0;
  }
  return 0;
}

std::string to_string(const Target& target) {
  switch (target.arch) {
    case Arch::kSm90a:
      return "sm_90a";
    case Arch::kSm100a:
      return "sm_100a";
    case Arch::kSm103a:
      return "sm_103a";
    case Arch::kX86:
      return "x86:" + target.x86.to_string();
  }
  return "";
}

Target parse_target(std::string_view text) {
  if (text == "sm_90a") return {Arch::kSm90a, {}};
  if (text == "sm_100a") return {Arch::kSm100a, {}};
  if (text == "sm_103a") return {Arch::kSm103a, {}};
  if (text == "x86") return {Arch::kX86, host_features()};
  if (text.starts_with("x86:")) {
    X86Features f;
    for (auto rest = text.substr(4); !rest.empty();) {
      auto plus = rest.find('+');
      auto name = rest.substr(0, plus);
      rest = plus == rest.npos ? std::string_view{} : rest.substr(plus + 1);
      if (name == "avx2")
        f.avx2 = true;
      else if (name == "avx512")
        f.avx2 = f.avx512 = true;
      else if (name == "bf16")
        f.avx512_bf16 = true;
      else if (name == "vnni")
        f.avx512_vnni = true;
      else if (name == "fp16")
        f.avx512_fp16 = true;
      else if (name == "amx_bf16")
        f.amx_bf16 = true;
      else if (name == "amx_int8")
        f.amx_int8 = true;
      else if (name != "baseline")
        throw IrError("unknown x86 feature '" + std::string(name) +
                      "'; features are avx2, avx512, bf16, vnni, fp16, amx_bf16, amx_int8, baseline");
    }
    return {Arch::kX86, f};
  }
  throw IrError("unknown target '" + std::string(text) +
                "'; targets are sm_90a, sm_100a, sm_103a, x86, x86:FEATURES");
}

}  // namespace rose::ir
