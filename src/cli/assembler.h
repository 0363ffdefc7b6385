// NVIDIA's assembler as a judge of PTX: what it made of a kernel, and what it complained about.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rose::cli {

struct Assembly {
  std::string code;                   // the cubin
  int registers = 0;                  // of one thread
  int64_t shared_bytes = 0;           // static shared memory that the PTX declares
  int64_t code_bytes = 0;             // of machine instructions
  std::vector<std::string> problems;  // its lines about spills, stack frames, messages C75xx and warnings
};

// Assembles a module for "sm_90a", …. Throws CliError (kFailed) when ptxas is missing, saying how to get it,
// or refuses the text, with its log.
Assembly assemble_ptx(const std::string& ptx, const std::string& target);

// The machine code of a cubin as text, by nvdisasm or cuobjdump. Throws CliError (kFailed) when both are
// missing.
std::string disassemble(const std::string& cubin);

// Bytes of executable sections of a 64-bit little-endian ELF file: a cubin or an x86 object. 0 for anything
// else.
int64_t machine_code_bytes(std::string_view elf);

// Whether ptxas can be found; see find_tool.
bool have_ptxas();

}  // namespace rose::cli
