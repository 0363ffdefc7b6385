// LLVM's part: the passes, the target machine of a thread, and the object file.
#include "codegen/x86/compile.h"

#include <llvm/Analysis/TargetLibraryInfo.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Verifier.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/Transforms/InstCombine/InstCombine.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>
#include <llvm/Transforms/Scalar/LICM.h>
#include <llvm/Transforms/Scalar/LoopPassManager.h>
#include <llvm/Transforms/Scalar/LoopUnrollPass.h>
#include <llvm/Transforms/Scalar/SimplifyCFG.h>
#include <llvm/Transforms/Utils/Mem2Reg.h>

#include <map>
#include <memory>
#include <mutex>

#include "codegen/x86/emitter.h"

namespace rose::codegen::x86 {
namespace {

constexpr const char* kTriple = "x86_64-unknown-linux-gnu";

std::string feature_string(const ir::X86Features& f) {
  std::string text = "+cx16,+sse4.2,+ssse3,+popcnt";  // x86-64-v2
  auto add = [&](bool has, const char* names) {
    if (has) text += names;
  };
  // Shuffles with variable lanes cost the same as others wherever AVX2 matters.
  add(f.avx2,
      ",+avx2,+fma,+f16c,+bmi,+bmi2,+lzcnt,+movbe,+fast-variable-crosslane-shuffle,+fast-variable-perlane-"
      "shuffle");
  add(f.avx512, ",+avx512f,+avx512bw,+avx512vl,+avx512dq");
  add(f.avx512_bf16, ",+avx512bf16");
  add(f.avx512_vnni, ",+avx512vnni");
  add(f.avx512_fp16, ",+avx512fp16");
  add(f.amx_bf16 || f.amx_int8, ",+amx-tile");
  add(f.amx_bf16, ",+amx-bf16");
  add(f.amx_int8, ",+amx-int8");
  return text;
}

// Making a target machine costs more than compiling a small kernel, and one must not be shared between
// threads.
llvm::TargetMachine& target_machine(const ir::X86Features& features) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
  });
  thread_local std::map<std::string, std::unique_ptr<llvm::TargetMachine>> machines;
  auto& machine = machines[feature_string(features)];
  if (!machine) {
    std::string error;
    const auto* target = llvm::TargetRegistry::lookupTarget(kTriple, error);
    if (!target) throw CodegenError("LLVM has no x86 back end: " + error);
    machine.reset(target->createTargetMachine(kTriple, "x86-64", feature_string(features),
                                              llvm::TargetOptions(), llvm::Reloc::PIC_,
                                              llvm::CodeModel::Small, llvm::CodeGenOptLevel::Default));
  }
  return *machine;
}

// Kernels arrive as vector code that the ir room has simplified, so few passes find work.
void optimize(llvm::Function& function, llvm::TargetMachine& machine, bool unroll) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graphs;
  llvm::ModuleAnalysisManager modules;
  // No transformation may call into a C library: objects have no undefined symbols.
  llvm::TargetLibraryInfoImpl library(machine.getTargetTriple());
  library.disableAllFunctions();
  functions.registerPass([&] { return llvm::TargetLibraryAnalysis(library); });
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graphs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graphs, modules);

  llvm::FunctionPassManager passes;
  passes.addPass(llvm::PromotePass());
  passes.addPass(llvm::SimplifyCFGPass());
  passes.addPass(llvm::EarlyCSEPass(true));
  passes.addPass(llvm::InstCombinePass(llvm::InstCombineOptions().setMaxIterations(1)));
  passes.addPass(llvm::createFunctionToLoopPassAdaptor(llvm::LICMPass(llvm::LICMOptions()), true));
  if (unroll) {
    passes.addPass(llvm::LoopUnrollPass(llvm::LoopUnrollOptions(2, true)));
    passes.addPass(llvm::SimplifyCFGPass());
    passes.addPass(llvm::InstCombinePass(llvm::InstCombineOptions().setMaxIterations(1)));
  }
  passes.addPass(llvm::EarlyCSEPass(true));
  passes.run(function, functions);
}

struct Compilation {
  llvm::LLVMContext context;
  llvm::Module module{"kernel", context};
  llvm::TargetMachine* machine = nullptr;

  explicit Compilation(const ir::Kernel& kernel) {
    if (kernel.target.is_gpu())
      throw CodegenError("kernel '" + kernel.name + "' was recorded for " + ir::to_string(kernel.target) +
                         ", not x86");
    if (kernel.threads != std::array{1, 1, 1} || kernel.cluster != std::array{1, 1, 1})
      throw CodegenError("kernel '" + kernel.name + "': on x86 a block has one thread and no cluster");
    for (const auto& parameter : kernel.parameters)
      if (parameter.kind == ir::Parameter::Kind::kTensorMap)
        throw CodegenError("kernel '" + kernel.name + "': parameter '" + parameter.name +
                           "' is a tensor map, which exists on GPUs alone");
    machine = &target_machine(kernel.target.x86);
    module.setTargetTriple(kTriple);
    module.setDataLayout(machine->createDataLayout());
    Emitter emitter(kernel, module);
    emitter.run();
    auto& function = *module.getFunction(kernel.name);
    std::string problems;
    llvm::raw_string_ostream stream(problems);
    if (llvm::verifyFunction(function, &stream))
      throw CodegenError("kernel '" + kernel.name +
                         "' uses a register where it has no value: " + stream.str());
    optimize(function, *machine, emitter.wants_unrolling());
  }

  std::string generate(llvm::CodeGenFileType type) {
    llvm::SmallVector<char, 0> bytes;
    llvm::raw_svector_ostream stream(bytes);
    llvm::legacy::PassManager passes;
    constexpr bool kNoVerifier = true;
    if (machine->addPassesToEmitFile(passes, stream, nullptr, type, kNoVerifier))
      throw CodegenError("LLVM cannot write this kind of file");
    passes.run(module);
    return std::string(bytes.begin(), bytes.end());
  }
};

}  // namespace

std::string compile(const ir::Kernel& kernel) {
  return Compilation(kernel).generate(llvm::CodeGenFileType::ObjectFile);
}

std::string assembly(const ir::Kernel& kernel) {
  return Compilation(kernel).generate(llvm::CodeGenFileType::AssemblyFile);
}

std::string llvm_ir(const ir::Kernel& kernel) {
  Compilation compilation(kernel);
  std::string text;
  llvm::raw_string_ostream stream(text);
  compilation.module.print(stream, nullptr);
  return stream.str();
}

}  // namespace rose::codegen::x86
