// `rose devices`: what this machine can run kernels on.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/cli.h"
#include "runtime/context.h"

namespace rose::cli {
namespace {

nlohmann::ordered_json describe(const std::string& id, const runtime::DeviceProperties& p) {
  return {{"device", id},
          {"name", p.name},
          {"target", p.target},
          {"features", p.features},
          {"processors", p.processors},
          {"memory_bytes", p.memory_bytes},
          {"cache_bytes", p.l2_bytes},
          {"shared_bytes_per_block", p.max_shared_bytes},
          {"driver_version", p.driver_version},
          {"memory_bytes_per_second", p.memory_bytes_per_second},
          {"pci_address", p.pci_address}};
}

nlohmann::ordered_json all_devices() {
  nlohmann::ordered_json result{{"devices", nlohmann::ordered_json::array()}};
  try {
    auto driver = runtime::open_cuda_driver();
    for (int i = 0; i < runtime::cuda_device_count(*driver); ++i)
      result["devices"].push_back(
          describe(fmt::format("cuda:{}", i), runtime::cuda_device_properties(*driver, i)));
  } catch (const runtime::DeviceError& error) {
    result["cuda_problem"] = error.what();
  }
  result["devices"].push_back(describe("x86", runtime::x86_device_properties()));
  return result;
}

}  // namespace

void add_devices(CLI::App& parent, Action& action) {
  CLI::App* command = parent.add_subcommand("devices", "List what this machine can run kernels on");
  auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "Print JSON");
  command->footer("Where no GPU can be used, the reason is shown; the x86 device is always there.");
  command->callback([&action, json] {
    action = [json] {
      if (*json)
        fmt::print("{}\n", all_devices().dump(2));
      else
        for (const auto& line : runtime::describe_devices()) fmt::print("{}\n", line);
      return kDone;
    };
  });
}

}  // namespace rose::cli
