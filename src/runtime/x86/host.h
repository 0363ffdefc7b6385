// What this machine's processor is and has.
#pragma once

#include <cstdint>
#include <string>

namespace rose::runtime {

std::string processor_name();
uint64_t last_level_cache_bytes();  // 0 if unknown
uint64_t host_memory_bytes();
uint64_t free_host_memory_bytes();  // what could be had without swapping

}  // namespace rose::runtime
