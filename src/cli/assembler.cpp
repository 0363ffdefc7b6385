#include "cli/assembler.h"

#include <elf.h>
#include <fmt/format.h>

#include <cstdio>
#include <cstring>
#include <sstream>

#include "cli/cli.h"
#include "cli/process.h"
#include "runtime/cuda/jit_log.h"

namespace rose::cli {
namespace {

constexpr const char* kGetPtxas =
    "ptxas was not found. It is NVIDIA's assembler, needed for checking kernels (not for running them). "
    "Install it with\n"
    "  python3 -m venv .venv && .venv/bin/pip install nvidia-cuda-nvcc\n"
    "or set ROSE_PTXAS to its path.";
constexpr const char* kGetDisassembler =
    "neither nvdisasm nor cuobjdump was found. They are part of NVIDIA's CUDA toolkit (packages "
    "cuda-nvdisasm and\n"
    "cuda-cuobjdump); put one of them on PATH or set ROSE_NVDISASM or ROSE_CUOBJDUMP to its path.";

// "ptxas info    : Used 40 registers, used 1 barriers, 128 bytes smem"; as printed by ptxas 12.4 to 13.0.
void read_usage(const std::string& line, Assembly& assembly) {
  auto used = line.find("Used ");
  if (used == line.npos) return;
  std::sscanf(line.c_str() + used, "Used %d registers", &assembly.registers);
  auto digit = line.find(" bytes smem");
  if (digit == line.npos) return;
  while (digit > 0 && std::isdigit(static_cast<unsigned char>(line[digit - 1]))) --digit;
  assembly.shared_bytes = std::strtoll(line.c_str() + digit, nullptr, 10);
}

}  // namespace

bool have_ptxas() { return !find_tool("ptxas").empty(); }

Assembly assemble_ptx(const std::string& ptx, const std::string& target) {
  std::string ptxas = find_tool("ptxas");
  if (ptxas.empty()) throw CliError(kGetPtxas, kFailed);
  TemporaryFile source("kernel.ptx", ptx);
  auto result =
      run_process({ptxas, "-v", "-arch=" + target, source.path(), "-o", source.beside("kernel.cubin")});
  if (result.status != 0)
    throw CliError(fmt::format("ptxas refuses the kernel (status {}):\n{}", result.status, result.output),
                   kFailed);
  Assembly assembly;
  std::istringstream lines(result.output);
  for (std::string line; std::getline(lines, line);) read_usage(line, assembly);
  assembly.problems = runtime::cuda::assembler_warnings(result.output);
  assembly.code = read_file(source.beside("kernel.cubin"));
  assembly.code_bytes = machine_code_bytes(assembly.code);
  return assembly;
}

std::string disassemble(const std::string& cubin) {
  TemporaryFile file("kernel.cubin", cubin);
  std::vector<std::string> command;
  if (std::string tool = find_tool("nvdisasm"); !tool.empty())
    command = {tool, "--print-code", file.path()};
  else if (tool = find_tool("cuobjdump"); !tool.empty())
    command = {tool, "--dump-sass", file.path()};
  else
    throw CliError(kGetDisassembler, kFailed);
  auto result = run_process(command);
  if (result.status != 0)
    throw CliError(fmt::format("{} failed (status {}):\n{}", command[0], result.status, result.output),
                   kFailed);
  return result.output;
}

int64_t machine_code_bytes(std::string_view elf) {
  Elf64_Ehdr header;
  if (elf.size() < sizeof header) return 0;
  std::memcpy(&header, elf.data(), sizeof header);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64) return 0;
  int64_t total = 0;
  for (uint64_t i = 0; i < header.e_shnum; ++i) {
    uint64_t place = header.e_shoff + i * sizeof(Elf64_Shdr);
    if (place < header.e_shoff || place > elf.size() - sizeof(Elf64_Shdr)) return 0;
    Elf64_Shdr section;
    std::memcpy(&section, elf.data() + place, sizeof section);
    if (section.sh_flags & SHF_EXECINSTR) total += static_cast<int64_t>(section.sh_size);
  }
  return total;
}

}  // namespace rose::cli
