// Turns a kernel into x86-64 machine code with LLVM: compile once, store the object, load it with loader.h.
//
// What the code assumes of the machine: x86-64-v2 (SSE4.2, SSSE3, POPCNT: every processor since 2009), and
// beyond it exactly the features of kernel.target.x86. Nothing depends on the processor's name.
//
// What a call means. The symbol kernel.name is an Entry (loader.h); one call runs one block of one thread.
//   arguments[i]         parameter i: a pointer's address, or a scalar's bits in the low bytes
//   arguments[n .. n+2]  the grid's size in x, y and z, n being the number of parameters; the caller always
//   supplies
//                        them, kernels read them for the specials kGridX to kGridZ
//   scratch              kernel.shared_bytes of memory, aligned to kernel.shared_alignment (what kSharedBase
//   gives)
//
// Numerics, the same for every number of lanes:
//   - no fast-math but contraction: a * b + c may become one fused operation. On a machine without FMA an
//   explicit
//     `fma` of f32 goes through f64 and one of f64 is rounded twice.
//   - f16 and bf16 arithmetic is done in f32 and rounded once an operation (f16 natively with avx512_fp16).
//   - f32 -> bf16 is round to nearest even and keeps NaN; with avx512_bf16 it flushes subnormal numbers to
//   zero.
//   - f32 -> e4m3, e5m2, e2m1 is round to nearest even and saturates, infinities included; NaN stays NaN, and
//   in e2m1,
//     which has none, becomes +6.
//   - float -> integer saturates as in PTX; NaN gives 0 in 32- and 64-bit integers and the lowest value in
//   others.
//   - ex2, lg2 and tanh are within 2 ulp (lg2 takes subnormal numbers as zero, ex2 may return zero for them);
//   rcp,
//     rsqrt and sqrt are exact operations; sin and cos are within 2e-7 for |x| up to 1e6.
//   - comparisons with NaN are as in C++: kNe is true, every other one false. min and max return the operand
//   that is
//     not NaN.
//   - integer division by zero does not trap; its result has no meaning. Shifts by the width or more behave
//   as in PTX.
//
// Everything here is safe to call from many threads at once.
#pragma once

#include <string>

#include "codegen/x86/error.h"
#include "ir/kernel.h"

namespace rose::codegen::x86 {

// A relocatable ELF object with no undefined symbols. Throws CodegenError that names the operation, its type
// and its source line when the kernel's target is not x86 or an operation has no x86 code.
std::string compile(const ir::Kernel& kernel);

// The same kernel as LLVM IR after optimisation, and as AT&T assembly: for people.
std::string llvm_ir(const ir::Kernel& kernel);
std::string assembly(const ir::Kernel& kernel);

}  // namespace rose::codegen::x86
