#!/bin/sh
# Builds text_tool against the room's library: build_text_tool.sh BUILD_DIR -> BUILD_DIR/bin/text_tool
set -e
build=${1:?usage: build_text_tool.sh BUILD_DIR}
here=$(cd "$(dirname "$0")" && pwd)
nice cmake --build "$build" --target rose_text rose_weights -j2 >/dev/null
mkdir -p "$build/bin"
nice g++ -std=c++20 -O2 -Wall -Wextra -I "$here/../../../src" "$here/text_tool.cc" "$build/librose_text.a" "$build/librose_weights.a" -lfmt -lutf8proc \
    -o "$build/bin/text_tool"
