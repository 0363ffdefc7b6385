#include "runtime/compile.h"

#include <elf.h>
#include <fmt/format.h>
#include <link.h>

#include "codegen/ptx/emit.h"
#include "codegen/x86/compile.h"
#include "codegen/x86/loader.h"

namespace rose::runtime {
namespace {

// The GNU build id in the notes of the main program (the first object that the loader lists).
int find_build_id(dl_phdr_info* info, size_t, void* result) {
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& header = info->dlpi_phdr[i];
    if (header.p_type != PT_NOTE) continue;
    const char* at = reinterpret_cast<const char*>(info->dlpi_addr + header.p_vaddr);
    const char* end = at + header.p_memsz;
    while (at + sizeof(ElfW(Nhdr)) <= end) {
      const auto& note = *reinterpret_cast<const ElfW(Nhdr)*>(at);
      const char* name = at + sizeof note;
      const char* data = name + ((note.n_namesz + 3) & ~3u);
      if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4) {
        auto& text = *static_cast<std::string*>(result);
        for (uint32_t k = 0; k < note.n_descsz; ++k)
          text += fmt::format("{:02x}", static_cast<unsigned char>(data[k]));
        return 1;
      }
      at = data + ((note.n_descsz + 3) & ~3u);
    }
  }
  return 1;  // only the main program
}

LoadedObject load_object(std::string_view object, std::string_view entry) {
  auto loaded = std::make_shared<codegen::x86::LoadedKernel>(codegen::x86::load(object, entry));
  return {loaded->entry(), loaded};
}

}  // namespace

const std::string& generator_version() {
  static const std::string version = [] {
    std::string id;
    dl_iterate_phdr(find_build_id, &id);
    return id.empty() ? std::string("unversioned " __DATE__ " " __TIME__) : id;
  }();
  return version;
}

ProgramSource compile(ir::Kernel kernel) {
  ir::optimize(kernel);
  ir::verify(kernel);
  ProgramSource source;
  source.entry = kernel.name;
  for (const auto& p : kernel.parameters)
    source.parameters.push_back(
        {p.name, static_cast<ParameterInfo::Kind>(p.kind), static_cast<uint32_t>(p.bytes())});
  for (size_t i = 0; i < 3; ++i) {
    source.threads[i] = static_cast<uint32_t>(kernel.threads[i]);
    source.cluster[i] = static_cast<uint32_t>(kernel.cluster[i]);
  }
  source.cooperative = kernel.cooperative;
  source.pdl = kernel.pdl;
  if (kernel.target.is_gpu()) {
    source.target = ir::to_string(kernel.target);
    source.shared_bytes = static_cast<uint32_t>(kernel.shared_bytes);
    source.code = codegen::ptx::emit(kernel);
    source.kernel = std::make_shared<const ir::Kernel>(std::move(kernel));
  } else {
    source.target = "x86";
    source.scratch_bytes = static_cast<uint64_t>(kernel.shared_bytes);
    source.code = codegen::x86::compile(kernel);
  }
  return source;
}

ir::Target target_of(const DeviceProperties& properties) {
  bool x86 = properties.kind == DeviceProperties::Kind::kX86;
  return ir::parse_target(x86 ? "x86:" + properties.features : properties.target);
}

std::unique_ptr<Context> open_context(ContextOptions options) {
  if (!options.x86.loader) options.x86.loader = load_object;
  if (options.x86.features.empty()) options.x86.features = ir::host_features().to_string();
  return std::make_unique<Context>(std::move(options));
}

}  // namespace rose::runtime
