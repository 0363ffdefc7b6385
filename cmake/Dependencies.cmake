# Libraries from Debian's packages (scripts/install-dependencies lists the package names).

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(PkgConfig REQUIRED)

pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
add_library(rose_xxhash INTERFACE)
target_link_libraries(rose_xxhash INTERFACE PkgConfig::XXHASH)

# Unicode: normalisation from utf8proc, character classes and linear-time regular expressions from RE2 and ICU.
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
add_library(rose_unicode INTERFACE)
target_link_libraries(rose_unicode INTERFACE PkgConfig::UTF8PROC)

# Fetching models: libcurl (its OpenSSL flavour), OpenSSL's hashes, and libarchive for the zip files that wheels are.
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto)
pkg_check_modules(ARCHIVE REQUIRED IMPORTED_TARGET libarchive)
add_library(rose_transfer INTERFACE)
target_link_libraries(rose_transfer INTERFACE PkgConfig::CURL PkgConfig::CRYPTO PkgConfig::ARCHIVE)

# LLVM 19: its C++ headers and its one shared library; nothing of it leaks beyond codegen/x86. Its CMake package is
# left aside, because it asks for the development files of everything that LLVM itself was built with.
find_path(ROSE_LLVM_INCLUDE llvm/IR/IRBuilder.h PATHS /usr/lib/llvm-19/include REQUIRED NO_DEFAULT_PATH)
find_library(ROSE_LLVM_LIBRARY NAMES LLVM-19 LLVM PATHS /usr/lib/llvm-19/lib REQUIRED NO_DEFAULT_PATH)
add_library(rose_llvm INTERFACE)
target_include_directories(rose_llvm SYSTEM INTERFACE ${ROSE_LLVM_INCLUDE})
target_link_libraries(rose_llvm INTERFACE ${ROSE_LLVM_LIBRARY})
