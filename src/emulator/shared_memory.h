// One block's shared memory: its bytes, what is known of each, and the mbarriers that lie in it. Private to
// the emulator.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace rose::emulator {

/// An address of shared memory is kSharedBase + its offset; the upper bits of one that names another block of
/// the cluster (mapa) hold that block's rank + 1.
inline constexpr uint32_t kSharedBase = 1024;
inline constexpr int kRankShift = 24;

struct MBarrier {
  uint32_t count = 0, pending = 0;  // arrivals of a phase, and those still to come
  int64_t bytes = 0;                // announced and not yet there
  uint64_t phase = 0;               // completed phases
};

class SharedMemory {
 public:
  enum class State : uint8_t { kUnwritten, kWritten, kInFlight };

  explicit SharedMemory(int64_t bytes)
      : data_(static_cast<size_t>(bytes), 0xff),
        state_(static_cast<size_t>(bytes), State::kUnwritten),
        writer_(static_cast<size_t>(bytes), 0) {}

  int64_t size() const { return static_cast<int64_t>(data_.size()); }
  uint8_t* data(int64_t offset) { return data_.data() + offset; }

  /// What is wrong with an access, or "". Tiles may hold rows that nobody has written: they read as NaN.
  std::string check_read(int64_t offset, int64_t bytes) const;
  std::string check_tile_read(int64_t offset, int64_t bytes) const;
  std::string check_write(int64_t offset, int64_t bytes) const;
  /// The same for the asynchronous proxy, which sees what threads have fenced.
  std::string check_async_read(int64_t offset, int64_t bytes) const;

  /// Whether just these bytes are there, written and visible to everybody.
  bool holds(int64_t offset, const uint8_t* bytes, int64_t count) const;
  /// A thread (its number in the block) has written; fence() makes its writes visible to the asynchronous
  /// proxy.
  void written(int64_t offset, int64_t bytes, int thread);
  void fence(int thread);
  /// A copy is under way: the bytes are poison until written_by_copy.
  void in_flight(int64_t offset, int64_t bytes);
  void written_by_copy(int64_t offset, int64_t bytes);

  std::map<int64_t, MBarrier> barriers;  // by offset

 private:
  std::string check(int64_t offset, int64_t bytes) const;

  std::vector<uint8_t> data_;
  std::vector<State> state_;
  std::vector<uint16_t> writer_;  // thread + 1 whose write is not fenced yet
  std::map<int, std::vector<std::pair<int64_t, int64_t>>> unfenced_;  // by thread: offset, bytes
};

}  // namespace rose::emulator
