# Compiler settings: warnings, ccache, the sanitizer presets, and the precompiled standard headers.

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2")
set(ROSE_SANITIZE "" CACHE STRING "Sanitizers, e.g. address,undefined or thread")

find_program(ROSE_CCACHE ccache)
if(ROSE_CCACHE)
  # base_dir makes the same file in two build folders one cache entry; the sloppiness lets ccache serve
  # files that use a precompiled header. (Not include_file_mtime: with it, a header that was edited during a
  # compilation once left an object of the new header under the hash of the old one.)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros ${ROSE_CCACHE})
endif()

add_library(rose_options INTERFACE)
target_compile_options(rose_options INTERFACE -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 reports these wrongly inside libstdc++ at -O2 (GCC bugs 105329, 105562).
  target_compile_options(rose_options INTERFACE -Wno-restrict -Wno-stringop-overflow -Wno-array-bounds
                                                -Wno-maybe-uninitialized -fpch-preprocess)
endif()
if(ROSE_SANITIZE)
  target_compile_options(rose_options INTERFACE -fsanitize=${ROSE_SANITIZE} -fno-omit-frame-pointer
                                                -fno-sanitize-recover=all -O1 -g1)
  target_link_options(rose_options INTERFACE -fsanitize=${ROSE_SANITIZE})
endif()

# One precompiled header of the standard library and fmt, shared by every room.
function(rose_precompile target)
  if(NOT TARGET rose_pch)
    file(WRITE ${CMAKE_BINARY_DIR}/pch/pch.cpp "\n")
    add_library(rose_pch OBJECT ${CMAKE_BINARY_DIR}/pch/pch.cpp)
    target_link_libraries(rose_pch PUBLIC rose_options fmt::fmt)
    target_precompile_headers(rose_pch PRIVATE <algorithm> <array> <cmath> <cstdint> <cstring> <functional> <map>
      <memory> <optional> <span> <stdexcept> <string> <string_view> <unordered_map> <utility> <variant> <vector>
      <fmt/format.h>)
  endif()
  target_precompile_headers(${target} REUSE_FROM rose_pch)
endfunction()

# The program cache's version of the generator is this identity: another build never reads stale kernels.
add_link_options(-Wl,--build-id=sha1)
