// `rose kernels show`: one kernel, specialised, in the form that is asked for.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/assembler.h"
#include "cli/cli.h"
#include "cli/making.h"
#include "cli/process.h"
#include "cli/table.h"
#include "codegen/ptx/emit.h"
#include "codegen/x86/compile.h"
#include "layout/svg.h"

namespace rose::cli {
namespace {

struct Options {
  std::string name, spec, target = "x86", emit = "ir", svg;
  bool passes = false;
};

// The kernel after each pass; what a pass left as it was is only named.
void print_passes(ir::Kernel& kernel) {
  std::string before = ir::to_string(kernel);
  fmt::print("; as recorded: {} instructions\n{}\n", ir::instruction_count(kernel.body), before);
  ir::optimize(
      kernel,
      [](const char* pass, const ir::Kernel& k, void* user) {
        auto& last = *static_cast<std::string*>(user);
        std::string now = ir::to_string(k);
        bool same = now == last;
        fmt::print("; after {}: {} instructions{}\n", pass, ir::instruction_count(k.body),
                   same ? ", unchanged" : "");
        if (!same) fmt::print("{}\n", now);
        last = std::move(now);
      },
      &before);
}

void print_layouts(const ir::Kernel& kernel) {
  if (kernel.layouts.empty()) fmt::print("{} uses no row layout and no shared memory\n", kernel.name);
  size_t width = 0;
  for (const auto& note : kernel.layouts) width = std::max(width, note.name.size());
  for (const auto& note : kernel.layouts) fmt::print("{:{}}  {}\n", note.name, width, note.layout);
}

// Draws the first layout that has something to draw: its last two modes.
void draw(const ir::Kernel& kernel, const std::string& path) {
  for (const auto& note : kernel.layouts) {
    auto whole = layout::parse(note.layout);
    if (whole.rank() < 2) continue;
    auto plane = layout::take(whole, whole.rank() - 2, whole.rank());
    write_file(path, layout::svg(plane));
    tell(fmt::format("{} shows {}: {}\n", path, note.name, layout::to_string(plane)));
    return;
  }
  throw CliError(fmt::format("{} has no layout with rows and columns to draw", kernel.name));
}

std::string assembly_of(const ir::Kernel& kernel) {
  if (!kernel.target.is_gpu()) return codegen::x86::assembly(kernel);
  return disassemble(assemble_ptx(codegen::ptx::emit(kernel), ir::to_string(kernel.target)).code);
}

int show(const Options& options) {
  const auto& entry = kernels::catalog_entry(options.name);
  ir::Target target = target_named(options.target);
  if (options.emit == "ptx" && !target.is_gpu())
    throw CliError("x86 kernels have no PTX; use --target sm_90a, or --emit asm");
  if (!options.svg.empty() && options.emit != "layouts")
    throw CliError("--svg draws a layout: add --emit layouts");
  ir::Kernel kernel = entry.record(target, options.spec);
  if (options.passes)
    print_passes(kernel);
  else
    ir::optimize(kernel);
  ir::verify(kernel);

  if (options.emit == "layouts") print_layouts(kernel);
  if (!options.svg.empty()) draw(kernel, options.svg);
  if (options.emit == "ir" && !options.passes) fmt::print("{}", ir::to_string(kernel));
  if (options.emit == "ptx") fmt::print("{}", codegen::ptx::emit(kernel));
  if (options.emit == "asm") fmt::print("{}", assembly_of(kernel));
  return kDone;
}

}  // namespace

void add_kernels_show(CLI::App& parent, Action& action) {
  CLI::App* command = parent.add_subcommand("show", "Specialise one kernel and print its code");
  auto options = std::make_shared<Options>();
  command->add_option("NAME", options->name, "The kernel; `rose kernels list` has them all")->required();
  command->add_option("--spec", options->spec, "Fields that differ from their defaults: key=value,key=value");
  command
      ->add_option("--target", options->target,
                   "sm_90a, sm_100a, sm_103a, x86 (this machine) or x86:FEATURES, as in x86:avx2+avx512")
      ->capture_default_str();
  command
      ->add_option("--emit", options->emit,
                   "ir: after all passes; ptx; asm: machine code as text; layouts: in CuTe's notation")
      ->check(CLI::IsMember({"ir", "ptx", "asm", "layouts"}))
      ->capture_default_str();
  command->add_flag("--passes", options->passes,
                    "Print the IR as recorded and after every pass that changed it");
  command->add_option("--svg", options->svg, "With --emit layouts: draw the first layout into this file");
  command->footer(
      "Examples:\n"
      "  rose kernels show rms_norm --spec hidden=2048 --passes\n"
      "  rose kernels show rms_norm --target sm_90a --emit ptx\n"
      "  rose kernels show rms_norm --target sm_90a --emit layouts --svg row.svg\n"
      "Machine code of GPUs needs ptxas and nvdisasm (or cuobjdump); the message says how to get them.");
  command->callback([&action, options] { action = [options] { return show(*options); }; });
}

}  // namespace rose::cli
