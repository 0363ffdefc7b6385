// Records a kernel: the operators and statements of the dsl room append to the builder of the calling thread.
#pragma once

#include <initializer_list>
#include <source_location>
#include <span>
#include <string>
#include <vector>

#include "ir/kernel.h"

namespace rose::dsl {

using ir::bf16, ir::f16, ir::f32, ir::f64, ir::e4m3, ir::e5m2, ir::e2m1, ir::pred;
using ir::IrError;
using ir::SourceLine;
using ir::Target;
using ir::Type;
using ir::u8, ir::s8, ir::u16, ir::s16, ir::u32, ir::s32, ir::u64, ir::s64;

inline SourceLine line_of(const std::source_location& l) {
  return {l.file_name(), static_cast<int>(l.line())};
}

class Builder {
 public:
  explicit Builder(std::string name, const Target& target);
  ~Builder();
  Builder(const Builder&) = delete;
  Builder& operator=(const Builder&) = delete;

  // The builder that records on this thread; throws IrError when there is none.
  static Builder& current();

  ir::Kernel kernel;

  // Appends one instruction with fresh single-assignment result registers of the given types.
  std::vector<ir::Reg> emit(const ir::Row& row, Type type, std::span<const Type> results,
                            std::vector<ir::Operand> operands, std::vector<int64_t> attributes,
                            SourceLine where);
  // The same for exactly one result.
  ir::Operand emit_one(const ir::Row& row, Type type, Type result, std::vector<ir::Operand> operands,
                       std::vector<int64_t> attributes, SourceLine where);
  // Appends an instruction as it stands: results may be mutable registers.
  void append(ir::Instruction instruction);
  void append(ir::Statement statement);

  ir::Block& block() { return *blocks_.back(); }
  void enter(ir::Block& block, SourceLine where);
  void leave();
  size_t depth() const { return blocks_.size(); }
  int loop_depth = 0;
  int64_t next_serial = 1;          // numbers the accesses of fragments
  std::vector<int> store_versions;  // stores recorded so far, by tensor source
  int& store_version(int source) {
    if (store_versions.size() <= static_cast<size_t>(source))
      store_versions.resize(static_cast<size_t>(source) + 1);
    return store_versions[static_cast<size_t>(source)];
  }

  // Remembers an error found where throwing is impossible (a scope's destructor); finish() throws it.
  void poison(std::string message);
  // The recorded kernel. Throws IrError if a block is still open or an error was remembered.
  ir::Kernel finish();

  // The line of the kernel that is being worked on, for instructions that the dsl room itself records.
  SourceLine kernel_line;
  // That line, or where none was told, the line of the kernel that recorded last.
  const SourceLine& line() const { return *kernel_line.file ? kernel_line : last_line_; }

  // Address of the block's shared memory, read once at the kernel's start.
  ir::Operand shared_base();

 private:
  std::vector<ir::Block*> blocks_;
  std::string poison_;
  SourceLine last_line_;
  Builder* outer_;
  ir::Operand shared_base_;
};

// `where`; but for a line inside the dsl room the kernel's own line (Builder::line), where it is known.
SourceLine line_in_kernel(const SourceLine& where);

// While one lives, instructions that the dsl room records count as recorded at this line of the kernel. A
// line inside the dsl room itself changes nothing: the kernel's own line stays.
class LineScope {
 public:
  explicit LineScope(SourceLine where);
  ~LineScope() { Builder::current().kernel_line = saved_; }
  LineScope(const LineScope&) = delete;
  LineScope& operator=(const LineScope&) = delete;

 private:
  SourceLine saved_;
};

}  // namespace rose::dsl
