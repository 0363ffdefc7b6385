#include "codegen/x86/loader.h"

#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace rose::codegen::x86 {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw CodegenError(
      fmt::format("the kernel object cannot be loaded: {}; remove it from the program cache", what));
}

// Larger than any kernel; keeps all offset arithmetic below far from overflow.
constexpr uint64_t kMaximumBytes = uint64_t{1} << 30;

// Reads an object of unknown origin: every offset is checked before it is used, and structures are copied out
// because nothing promises their alignment.
class Object {
 public:
  explicit Object(std::string_view bytes) : bytes_(bytes) {
    if (bytes.size() > kMaximumBytes) fail("it is larger than 1 GiB");
    auto header = read<Elf64_Ehdr>(0);
    if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_machine != EM_X86_64 || header.e_type != ET_REL)
      fail("it is not an x86-64 relocatable ELF object");
    if (header.e_shentsize != sizeof(Elf64_Shdr)) fail("its section table is damaged");
    sections_ = table<Elf64_Shdr>(header.e_shoff, uint64_t{header.e_shnum} * sizeof(Elf64_Shdr));
  }

  const std::vector<Elf64_Shdr>& sections() const { return sections_; }

  std::string_view range(uint64_t offset, uint64_t size) const {
    if (offset > bytes_.size() || size > bytes_.size() - offset)
      fail(fmt::format("it ends at byte {}, but refers to {} bytes at {}", bytes_.size(), size, offset));
    return bytes_.substr(offset, size);
  }

  template <typename T>
  T read(uint64_t offset) const {
    T value;
    std::memcpy(&value, range(offset, sizeof(T)).data(), sizeof(T));
    return value;
  }

  template <typename T>
  std::vector<T> table(uint64_t offset, uint64_t size) const {
    auto bytes = range(offset, size);  // before memory is asked for
    std::vector<T> entries(size / sizeof(T));
    if (!entries.empty()) std::memcpy(entries.data(), bytes.data(), entries.size() * sizeof(T));
    return entries;
  }

  std::string_view name(const Elf64_Shdr& strings, uint32_t at) const {
    auto text = range(strings.sh_offset, strings.sh_size);
    if (at >= text.size()) fail("a symbol's name lies outside of its string table");
    text.remove_prefix(at);
    return text.substr(0, text.find('\0'));
  }

 private:
  std::string_view bytes_;
  std::vector<Elf64_Shdr> sections_;
};

// The object laid out in writable memory at `base`, before it becomes executable.
class Image {
 public:
  explicit Image(const Object& object) : object_(object), offsets_(object.sections().size(), kAbsent) {
    for (size_t i = 0; i < offsets_.size(); ++i) {
      const auto& section = object.sections()[i];
      if (!(section.sh_flags & SHF_ALLOC) || section.sh_size == 0) continue;
      if (section.sh_flags & (SHF_WRITE | SHF_TLS)) fail("it has writable data");
      if (section.sh_type != SHT_PROGBITS) continue;  // unwind tables and notes
      uint64_t alignment = section.sh_addralign ? section.sh_addralign : 1;
      if (alignment > 4096 || (alignment & (alignment - 1)))
        fail("a section's alignment is not a power of two");
      size_ = (size_ + alignment - 1) & ~(alignment - 1);
      offsets_[i] = size_;
      object.range(section.sh_offset, section.sh_size);
      size_ += section.sh_size;
      if (size_ > kMaximumBytes) fail("its sections are larger than 1 GiB");
    }
    for (const auto& section : object.sections())
      if (section.sh_type == SHT_SYMTAB) {
        symbols_ = object.table<Elf64_Sym>(section.sh_offset, section.sh_size);
        if (section.sh_link >= object.sections().size()) fail("its symbol table has no names");
        strings_ = object.sections()[section.sh_link];
      }
  }

  uint64_t size() const { return size_; }

  void copy_to(char* base) const {
    for (size_t i = 0; i < offsets_.size(); ++i)
      if (offsets_[i] != kAbsent) {
        auto bytes = object_.range(object_.sections()[i].sh_offset, object_.sections()[i].sh_size);
        std::memcpy(base + offsets_[i], bytes.data(), bytes.size());
      }
  }

  void relocate(char* base) const {
    for (const auto& section : object_.sections()) {
      if (section.sh_type == SHT_REL) fail("it has relocations without addends");
      if (section.sh_type != SHT_RELA) continue;
      if (section.sh_info >= offsets_.size()) fail("its relocations belong to no section");
      if (offsets_[section.sh_info] == kAbsent) continue;
      uint64_t start = offsets_[section.sh_info], bytes = object_.sections()[section.sh_info].sh_size;
      for (const auto& entry : object_.table<Elf64_Rela>(section.sh_offset, section.sh_size)) {
        auto type = ELF64_R_TYPE(entry.r_info);
        uint64_t width = type == R_X86_64_64 || type == R_X86_64_PC64 ? 8 : 4;
        if (entry.r_offset > bytes || width > bytes - entry.r_offset)
          fail("a relocation lies outside of its section");
        char* place = base + start + entry.r_offset;
        uint64_t value = reinterpret_cast<uint64_t>(base) + address_of(ELF64_R_SYM(entry.r_info)) +
                         static_cast<uint64_t>(entry.r_addend);
        if (type != R_X86_64_64) value -= reinterpret_cast<uint64_t>(place);
        if (type == R_X86_64_64 || type == R_X86_64_PC64) {
          std::memcpy(place, &value, 8);
        } else if (type == R_X86_64_PC32 || type == R_X86_64_PLT32) {
          auto narrow = static_cast<int32_t>(value);  // the image is far smaller than 2 GiB; addends may lie
          if (static_cast<uint64_t>(int64_t{narrow}) != value) fail("a relocation reaches too far");
          std::memcpy(place, &narrow, 4);
        } else {
          fail(fmt::format("it uses relocation type {}", type));
        }
      }
    }
  }

  uint64_t find(std::string_view name) const {
    for (size_t i = 0; i < symbols_.size(); ++i)
      if (symbols_[i].st_shndx != SHN_UNDEF && ELF64_ST_TYPE(symbols_[i].st_info) == STT_FUNC &&
          object_.name(strings_, symbols_[i].st_name) == name)
        return address_of(i);
    fail(fmt::format("it has no function '{}'", name));
  }

 private:
  static constexpr uint64_t kAbsent = ~uint64_t{0};

  uint64_t address_of(uint64_t symbol) const {  // from the image's base
    if (symbol >= symbols_.size()) fail("a relocation names no symbol");
    const auto& s = symbols_[symbol];
    if (s.st_shndx == SHN_UNDEF)
      fail(fmt::format("it needs the symbol '{}' from elsewhere", object_.name(strings_, s.st_name)));
    if (s.st_shndx >= offsets_.size() || offsets_[s.st_shndx] == kAbsent)
      fail("a symbol lies in no loaded section");
    if (s.st_value >= object_.sections()[s.st_shndx].sh_size) fail("a symbol lies outside of its section");
    return offsets_[s.st_shndx] + s.st_value;
  }

  const Object& object_;
  std::vector<uint64_t> offsets_;  // of each section in the image
  std::vector<Elf64_Sym> symbols_;
  Elf64_Shdr strings_{};
  uint64_t size_ = 0;
};

}  // namespace

LoadedKernel::~LoadedKernel() {
  if (memory_) munmap(memory_, bytes_);
}

LoadedKernel load(std::string_view bytes, std::string_view entry) {
  Object object(bytes);
  Image image(object);
  if (image.size() == 0) fail("it has no code");
  uint64_t offset = image.find(entry);

  LoadedKernel kernel;
  auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  size_t mapped = (image.size() + page - 1) & ~(page - 1);
  void* memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) fail(fmt::format("no memory for its {} bytes: {}", mapped, std::strerror(errno)));
  kernel.memory_ = memory;
  kernel.bytes_ = mapped;
  auto* base = static_cast<char*>(memory);
  image.copy_to(base);
  image.relocate(base);
  if (mprotect(memory, mapped, PROT_READ | PROT_EXEC) != 0)
    fail(fmt::format("its memory cannot be made executable: {}", std::strerror(errno)));
  kernel.entry_ = reinterpret_cast<Entry>(base + offset);
  return kernel;
}

}  // namespace rose::codegen::x86
