#include "runtime/cuda/jit_log.h"

namespace rose::runtime::cuda {
namespace {

bool has(std::string_view line, std::string_view part) { return line.find(part) != std::string_view::npos; }

// Message numbers look like "(C7508)".
bool has_message_number(std::string_view line) {
  const size_t at = line.find("(C75");
  return at != std::string_view::npos && at + 6 < line.size() && line[at + 6] == ')';
}

// "8 bytes stack frame, 4 bytes spill stores, 0 bytes spill loads": true when any of the numbers is above 0.
bool has_stack(std::string_view line) {
  if (!has(line, "bytes stack frame") && !has(line, "bytes spill")) return false;
  for (size_t at = line.find(" bytes "); at != std::string_view::npos; at = line.find(" bytes ", at + 1)) {
    for (size_t digit = at; digit > 0 && line[digit - 1] >= '0' && line[digit - 1] <= '9'; --digit) {
      if (line[digit - 1] != '0') return true;
    }
  }
  return false;
}

}  // namespace

std::vector<std::string> assembler_warnings(std::string_view log) {
  std::vector<std::string> warnings;
  while (!log.empty()) {
    const size_t end = std::min(log.find('\n'), log.size());
    std::string_view line = log.substr(0, end);
    log.remove_prefix(std::min(end + 1, log.size()));
    while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
    if (has_message_number(line) || has(line, "warning") || has_stack(line)) warnings.emplace_back(line);
  }
  return warnings;
}

}  // namespace rose::runtime::cuda
