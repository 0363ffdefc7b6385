#include "emulator/shared_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace rose::emulator {

std::string SharedMemory::check(int64_t offset, int64_t bytes) const {
  if (offset < 0 || bytes < 0 || offset + bytes > size())
    return fmt::format("bytes {} to {} of shared memory, of which there are {}", offset, offset + bytes - 1,
                       size());
  auto barrier = barriers.lower_bound(offset - 7);
  if (barrier != barriers.end() && barrier->first < offset + bytes)
    return fmt::format("byte {} of shared memory, where an mbarrier lies", offset);
  return "";
}

std::string SharedMemory::check_tile_read(int64_t offset, int64_t bytes) const {
  if (auto wrong = check(offset, bytes); !wrong.empty()) return wrong;
  const auto begin = state_.begin() + offset, found = std::find(begin, begin + bytes, State::kInFlight);
  if (found == begin + bytes) return "";
  return fmt::format(
      "byte {} of shared memory, which a copy under way will write: wait for its barrier first",
      found - state_.begin());
}

std::string SharedMemory::check_read(int64_t offset, int64_t bytes) const {
  if (auto wrong = check_tile_read(offset, bytes); !wrong.empty()) return wrong;
  const auto begin = state_.begin() + offset, found = std::find(begin, begin + bytes, State::kUnwritten);
  if (found == begin + bytes) return "";
  return fmt::format("byte {} of shared memory, which was never written", found - state_.begin());
}

std::string SharedMemory::check_write(int64_t offset, int64_t bytes) const {
  if (auto wrong = check(offset, bytes); !wrong.empty()) return wrong;
  const auto begin = state_.begin() + offset, found = std::find(begin, begin + bytes, State::kInFlight);
  if (found == begin + bytes) return "";
  return fmt::format("byte {} of shared memory, which a copy under way will write", found - state_.begin());
}

std::string SharedMemory::check_async_read(int64_t offset, int64_t bytes) const {
  if (auto wrong = check_tile_read(offset, bytes); !wrong.empty()) return wrong;
  const auto begin = writer_.begin() + offset,
             found = std::find_if(begin, begin + bytes, [](uint16_t writer) { return writer != 0; });
  if (found == begin + bytes) return "";
  return fmt::format("byte {} of shared memory, which thread {} wrote without fence.proxy.async behind it",
                     found - writer_.begin(), *found - 1);
}

bool SharedMemory::holds(int64_t offset, const uint8_t* bytes, int64_t count) const {
  const auto all = [&](const auto& list, auto value) {
    return std::all_of(list.begin() + offset, list.begin() + offset + count,
                       [&](auto v) { return v == value; });
  };
  return std::memcmp(data_.data() + offset, bytes, static_cast<size_t>(count)) == 0 &&
         all(state_, State::kWritten) && all(writer_, uint16_t{0});
}

void SharedMemory::written(int64_t offset, int64_t bytes, int thread) {
  std::fill_n(state_.begin() + offset, bytes, State::kWritten);
  std::fill_n(writer_.begin() + offset, bytes, static_cast<uint16_t>(thread + 1));
  unfenced_[thread].emplace_back(offset, bytes);
}

void SharedMemory::fence(int thread) {
  auto found = unfenced_.find(thread);
  if (found == unfenced_.end()) return;
  for (auto [offset, bytes] : found->second)
    for (int64_t i = offset; i < offset + bytes; ++i)
      if (auto& writer = writer_[static_cast<size_t>(i)]; writer == thread + 1) writer = 0;
  unfenced_.erase(found);
}

void SharedMemory::in_flight(int64_t offset, int64_t bytes) {
  std::memset(data(offset), 0xff, static_cast<size_t>(bytes));
  std::fill_n(state_.begin() + offset, bytes, State::kInFlight);
}

void SharedMemory::written_by_copy(int64_t offset, int64_t bytes) {
  std::fill_n(state_.begin() + offset, bytes, State::kWritten);
  std::fill_n(writer_.begin() + offset, bytes, uint16_t{0});
}

}  // namespace rose::emulator
