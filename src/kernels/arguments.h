// Collects the arguments of a launch where a Spec decides which parameters the kernel has.
#pragma once

#include <fmt/format.h>

#include "kernels/catalog.h"

namespace rose::kernels {

class LaunchArguments {
 public:
  explicit LaunchArguments(const char* kernel) : kernel_(kernel) {}
  LaunchArguments& add(const runtime::Argument& argument) { return list_.push_back(argument), *this; }
  // A pointer that must be given when the Spec asks for it, and is ignored otherwise.
  LaunchArguments& optional(const char* name, bool wanted, runtime::DevicePointer pointer) {
    if (!wanted) return *this;
    if (pointer.address == 0)
      throw KernelError(fmt::format("{}: this one was made to take '{}'; pass it", kernel_, name));
    return add(pointer);
  }
  std::span<const runtime::Argument> list() const { return list_; }

 private:
  const char* kernel_;
  std::vector<runtime::Argument> list_;
};

}  // namespace rose::kernels
