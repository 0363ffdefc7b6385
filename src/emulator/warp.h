// The machine's parts: warps with registers and masks, blocks, clusters, and asynchronous work. Private to
// the emulator.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "emulator/emulator.h"
#include "emulator/program.h"
#include "emulator/shared_memory.h"

namespace rose::emulator {

inline constexpr int kLanes = 32;
using Mask = uint32_t;

class Machine;
class Warp;
struct Cluster;

/// A barrier at which a number of warps meet: of the block, or a named one.
struct NamedBarrier {
  int expected = 0;  // threads; 0: nobody is there yet
  int arrived = 0;   // threads
  uint64_t generation = 0;
};

struct BlockState {
  BlockState(Cluster& of, int64_t shared_bytes, int threads)
      : cluster(&of), shared(shared_bytes), warps_running((threads + kLanes - 1) / kLanes) {}

  Cluster* cluster;
  std::array<uint32_t, 3> index{};
  uint32_t rank = 0;  // in its cluster
  SharedMemory shared;
  std::array<NamedBarrier, 16> barriers;
  int warps_running;
  std::vector<std::unique_ptr<Warp>> warps;
};

/// Work of the copy engine that has been issued: done by the machine when nothing else can go on.
struct Copy {
  std::function<void()> finish;
  std::string what;
};

struct Cluster {
  std::vector<std::unique_ptr<BlockState>> blocks;
  NamedBarrier barrier;
  std::deque<Copy> copies;
};

/// A store of the copy engine, of one thread's bulk group.
struct BulkStore {
  int lane = 0;
  bool committed = false;
  bool read = false;      // its source has been read, and the destination written
  uint64_t checksum = 0;  // of the source when it was issued
  std::function<uint64_t()> sum;
  std::function<void()> finish;
};

/// A wgmma that was issued and not waited for.
struct Product {
  const Code* code = nullptr;
  Mask mask = 0;
  uint64_t a = 0, b = 0;  // descriptors
  bool accumulate = false;
  std::vector<uint64_t> sums_a, sums_b;  // of each row in shared memory when it was issued; 0: not to be used
  std::vector<uint64_t> fragment;        // of A, when it comes from registers
};

inline constexpr uint8_t kAccumulator = 1, kFragment = 2;  // see Warp::owned

class Warp {
 public:
  Warp(Machine& machine, const Program& program, BlockState& block, int number, int threads);

  /// Runs until the warp waits, ends, or has executed `statements`. Returns how many it has executed.
  uint64_t run(uint64_t statements);
  bool done() const { return frames_.empty(); }
  /// What it waits for, for the report of a deadlock.
  const std::string& waiting_for() const { return waiting_; }
  std::string place() const;  // "kernels/gemm/sm90.cpp:31, block (0, 0, 0), warp 2"

  // For handlers.
  Mask active() const { return mask_; }
  Mask alive() const { return alive_; }
  int number() const { return number_; }
  int thread(int lane) const { return number_ * kLanes + lane; }
  BlockState& block() { return block_; }
  Machine& machine() { return machine_; }
  const Program& program() const { return program_; }

  uint64_t get(const Source& source, int lane) const {
    return source.reg == ir::kNoReg ? source.bits
                                    : registers_[source.reg * size_t{kLanes} + static_cast<size_t>(lane)];
  }
  void set(ir::Reg reg, int lane, uint64_t bits) {
    registers_[reg * size_t{kLanes} + static_cast<size_t>(lane)] = bits;
  }
  uint64_t* lanes(ir::Reg reg) { return &registers_[reg * size_t{kLanes}]; }
  /// f(lane) for all active lanes.
  template <class F>
  void each(const F& f) const {
    for (Mask left = mask_; left; left &= left - 1) f(__builtin_ctz(left));
  }
  /// The value that all active lanes must share.
  uint64_t uniform(const Source& source, const char* what) const;

  /// Something that is wrong unless nobody uses what comes of it.
  void note(const std::string& message) const;
  [[noreturn]] void fail(const std::string& message, int lane = -1) const;
  Outcome wait(std::string what) {
    waiting_ = std::move(what);
    return Outcome::kBlocked;
  }

  // What a blocked operation remembers until it is tried again.
  bool arrived = false;
  Mask cluster_arrived = 0;
  uint64_t generation = 0, cluster_generation = 0;

  std::vector<BulkStore> stores;
  std::deque<std::vector<Product>> groups;  // committed products that have not ended, oldest first
  uint64_t committed = 0;                   // groups, ended ones too
  std::vector<Product> products;            // not committed yet
  std::vector<uint8_t> owned;  // by register: kAccumulator, kFragment of a product under way; empty: none is

 private:
  struct Frame {
    enum class Part : uint8_t { kBlock, kTest, kBody, kStep };
    const Nodes* nodes = nullptr;
    size_t at = 0;
    Mask mask = 0;
    const Node* loop = nullptr;  // of a loop's own frame, which holds the lanes that are still in it
    Part next = Part::kTest;     // what a loop's frame does when it is on top again
  };
  std::string report(const std::string& message, int lane) const;
  void push(const Nodes& nodes, Mask mask) {
    frames_.push_back({&nodes, 0, mask, nullptr, Frame::Part::kBlock});
  }
  void advance_loop();
  void leave(Mask lanes, bool also_loop);
  void finish();
  Outcome execute(const Node& node);
  void check_owned(const Code& code) const;
  Mask truth(const Source& condition, Mask mask) const;

  Machine& machine_;
  const Program& program_;
  BlockState& block_;
  int number_;
  Mask alive_ = 0, mask_ = 0;
  std::vector<uint64_t> registers_;
  std::vector<Frame> frames_;
  const Node* current_ = nullptr;
  std::string waiting_;
};

class Machine {
 public:
  Machine(const Launch& launch, const GlobalMemory& memory, const Options& options);
  void run();

  const Launch& launch() const { return launch_; }
  /// The host's address of global memory; fails in the warp's name when it is not all inside one allocation.
  uint8_t* global(const Warp& warp, int lane, uint64_t address, uint64_t bytes, uint64_t alignment);
  bool holds(uint64_t address, uint64_t bytes) const { return memory_.holds(address, bytes); }
  /// The block that a shared-memory address names, and the offset in it.
  BlockState& shared_block(Warp& warp, int lane, uint64_t address, int64_t* offset);
  /// Something has happened that others may wait for.
  void progress() { ++events_; }
  /// Adds a note, unless this instruction has one.
  void note(const void* site, std::string text) {
    if (noted_.insert(site).second) notes_.push_back(std::move(text));
  }
  std::vector<std::string> take_notes() { return std::move(notes_); }

 private:
  std::unique_ptr<Cluster> make_cluster(uint64_t number);
  void run_clusters(std::vector<std::unique_ptr<Cluster>>& clusters);
  void expect_clean_end(Cluster& cluster);
  uint64_t random();

  const Launch& launch_;
  const GlobalMemory& memory_;
  Options options_;
  Program program_;
  uint64_t events_ = 0, random_;
  std::set<const void*> noted_;
  std::vector<std::string> notes_;
};

}  // namespace rose::emulator
