// The machines that a kernel can be recorded for, and the x86 features that choose its code.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace rose::ir {

enum class Arch : uint8_t { kSm90a, kSm100a, kSm103a, kX86 };

// What an x86-64 processor (and the operating system) lets a program use. Codes are chosen by these, never by
// the processor's name: virtual machines misreport names.
struct X86Features {
  bool avx2 = false, avx512 = false, avx512_bf16 = false, avx512_vnni = false, avx512_fp16 = false;
  bool amx_bf16 = false, amx_int8 = false;

  bool operator==(const X86Features&) const = default;
  std::string to_string() const;  // "avx2+avx512+bf16+vnni"; "baseline" when none
};

// A machine: `x86` holds the features when arch is kX86.
struct Target {
  Arch arch = Arch::kX86;
  X86Features x86;

  bool operator==(const Target&) const = default;
  bool is_gpu() const { return arch != Arch::kX86; }
  bool is_blackwell() const { return arch == Arch::kSm100a || arch == Arch::kSm103a; }
  int ptx_version() const;  // 86 for sm_90a, 88 for Blackwell, 0 for x86
  int vector_bytes() const { return is_gpu() ? 16 : x86.avx512 ? 64 : 32; }  // widest load of one thread
};

std::string to_string(const Target& target);  // "sm_90a", "x86:avx2+avx512"
Target parse_target(std::string_view text);   // "sm_90a", "x86" (this machine), "x86:avx2"; throws IrError
X86Features host_features();                  // what this machine has; asks the kernel for AMX permission

}  // namespace rose::ir
