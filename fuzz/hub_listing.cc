// libFuzzer: any bytes as the hub's description of a model end as a HubError or give names that stay in their
// folder, and what is selected of them was listed.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "hub/digest.h"
#include "hub/error.h"
#include "hub/remote.h"
#include "hub/select.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const rose::hub::ModelId id{"org/model", "main", ""};
  try {
    auto model = rose::hub::read_listing(std::string(reinterpret_cast<const char*>(data), size), id);
    if (!rose::hub::is_hex(model.commit, 40)) std::abort();
    for (const auto& file : model.files)
      if (!rose::hub::is_safe_name(file.name) || file.size < -1) std::abort();
    auto chosen = rose::hub::select_files(model.files, {}, id);
    if (chosen.files.empty() || chosen.files.size() > model.files.size()) std::abort();
  } catch (const rose::hub::HubError&) {
  }
  return 0;
}
