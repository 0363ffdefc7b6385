#include "codegen/ptx/emit.h"

#include <fmt/format.h>

#include <iterator>
#include <map>

#include "codegen/ptx/instruction_text.h"

namespace rose::codegen::ptx {
namespace {

using ir::Block;
using ir::Kernel;
using ir::Statement;

class Emitter {
 public:
  Emitter(const Kernel& kernel, const Options& options) : kernel_(kernel), options_(options), text_(kernel) {}

  std::string run() {
    print_block(kernel_.body, {});
    line("ret;");
    std::string body = std::move(out_);
    out_.clear();
    header();
    out_ += body;
    out_ += "}\n";
    return std::move(out_);
  }

 private:
  struct LoopLabels {
    int number = -1;
    bool continued = false;
  };

  template <class... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    out_ += '\t';
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
    out_ += '\n';
  }

  void header() {
    int version = kernel_.target.ptx_version();
    out_ += fmt::format(".version {}.{}\n.target {}\n.address_size 64\n", version / 10, version % 10,
                        ir::to_string(kernel_.target));
    for (const auto& [path, number] : files_) out_ += fmt::format(".file {} \"{}\"\n", number, path);
    if (kernel_.shared_bytes > 0)
      out_ += fmt::format(".extern .shared .align {} .b8 shared_memory[];\n", kernel_.shared_alignment);
    out_ += fmt::format(".visible .entry {}(", kernel_.name);
    for (size_t i = 0; i < kernel_.parameters.size(); ++i) {
      const auto& p = kernel_.parameters[i];
      out_ += i ? ",\n\t" : "\n\t";
      if (p.kind == ir::Parameter::Kind::kTensorMap)
        out_ += fmt::format(".param .align 64 .b8 {}[128]", text_.parameter(i));
      else
        out_ += fmt::format(".param .b{} {}", p.bytes() * 8, text_.parameter(i));
    }
    auto [x, y, z] = kernel_.threads;
    out_ += fmt::format(")\n.maxntid {}, {}, {}\n", x, y, z);
    if (kernel_.min_blocks > 0) out_ += fmt::format(".minnctapersm {}\n", kernel_.min_blocks);
    out_ += "{\n";
    out_ += text_.register_declarations();
  }

  void mark_line(const ir::SourceLine& where) {
    if (!options_.lines || !*where.file || (where.file == last_.file && where.line == last_.line)) return;
    last_ = where;
    int& number = files_[where.file];
    if (number == 0) number = static_cast<int>(files_.size());
    line(".loc {} {} 0", number, where.line);
  }

  void print_block(const Block& block, LoopLabels loop) {
    for (const auto& s : block) {
      mark_line(s.where);
      switch (s.kind) {
        case Statement::Kind::kInstruction:
          print(s.instruction);
          break;
        case Statement::Kind::kIf:
          print_if(*s.branch, loop);
          break;
        case Statement::Kind::kLoop:
          print_loop(*s.loop);
          break;
        case Statement::Kind::kBreak:
          line("bra LEAVE{};", loop.number);
          break;
        case Statement::Kind::kContinue:
          line("bra NEXT{};", loop.number);
          break;
        case Statement::Kind::kReturn:
          line("ret;");
          break;
      }
    }
  }

  void print(const ir::Instruction& i) {
    std::string text = text_.format(i);
    if (i.guard.reg == ir::kNoReg) return line("{}", text);
    std::string guard = fmt::format("@{}{}", i.guard.negated ? "!" : "", text_.reg(i.guard.reg));
    bool single = text.find('{') != 0 && text.find(';') == text.size() - 1;
    if (single) return line("{} {}", guard, text);
    int label = labels_++;  // several instructions under one guard: jump around them
    line("@{}{} bra SKIP{};", i.guard.negated ? "" : "!", text_.reg(i.guard.reg), label);
    line("{}", text);
    out_ += fmt::format("SKIP{}:\n", label);
  }

  void print_if(const ir::If& branch, LoopLabels loop) {
    if (branch.condition.is_constant())
      return print_block(branch.condition.bits ? branch.then : branch.otherwise, loop);
    int label = labels_++;
    bool has_else = !branch.otherwise.empty();
    line("@!{} bra {}{};", text_.reg(branch.condition.reg), has_else ? "ELSE" : "END", label);
    print_block(branch.then, loop);
    if (has_else) {
      line("bra END{};", label);
      out_ += fmt::format("ELSE{}:\n", label);
      print_block(branch.otherwise, loop);
    }
    out_ += fmt::format("END{}:\n", label);
  }

  // The test stands twice: once before the loop, once at its end, so that a turn costs one branch.
  void print_loop(const ir::Loop& loop) {
    LoopLabels labels{labels_++, false};
    bool endless = loop.condition.is_constant() && loop.condition.bits;
    print_block(loop.test, labels);
    if (!endless && !loop.entered) line("@!{} bra LEAVE{};", text_.reg(loop.condition.reg), labels.number);
    if (loop.unroll == 1) line(".pragma \"nounroll\";");
    out_ += fmt::format("LOOP{}:\n", labels.number);
    print_block(loop.body, labels);
    out_ += fmt::format("NEXT{}:\n", labels.number);
    print_block(loop.step, labels);
    print_block(loop.test, labels);
    if (endless)
      line("bra LOOP{};", labels.number);
    else
      line("@{} bra LOOP{};", text_.reg(loop.condition.reg), labels.number);
    out_ += fmt::format("LEAVE{}:\n", labels.number);
  }

  const Kernel& kernel_;
  const Options& options_;
  InstructionText text_;
  std::string out_;
  std::map<std::string, int> files_;
  ir::SourceLine last_;
  int labels_ = 0;
};

}  // namespace

std::string emit(const Kernel& kernel, const Options& options) {
  if (!kernel.target.is_gpu())
    throw ir::IrError("kernel '" + kernel.name + "' was recorded for x86; PTX needs a GPU target");
  return Emitter(kernel, options).run();
}

}  // namespace rose::codegen::ptx
