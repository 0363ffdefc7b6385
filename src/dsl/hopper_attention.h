// What attention needs beyond a matrix product on sm_90a: wgmma with A in registers and B stored along N, a
// mailbox that hands a tile's description over together with its data, named barriers, and reductions over
// the four threads that share a row of an accumulator.
#pragma once

#include <array>
#include <functional>

#include "dsl/hopper.h"

namespace rose::dsl {

// A 64-bit shared-memory descriptor of an operand stored along M or N (transposed) in the 128-byte swizzle:
// boxes of 64 elements along N, each with 128 bytes for every k; the next 64 elements along N lie
// `leading_bytes` further. For k 8 … 15 the bytes 1024 … follow. Adding 128 to it moves 16 along K.
Val descriptor_mn_major_128(const Val& address, int leading_bytes);

// Queues D[f] (+)= A[64, 16] · B[16, n] with A in registers: those of a 16-bit accumulator tile of 16
// columns, a[0] and a[1] the rows g and g + 8 of columns 0 … 7, a[2] and a[3] of columns 8 … 15.
// `transposed`: B is stored along N.
void mma_from_registers(Accumulator& d, int fragment, Type type, const std::array<Val, 4>& a, const Val& b,
                        bool transposed, Location where = Location::current());

// The largest value, and the sum, over the four threads that hold one row of an accumulator (lanes 4g … 4g +
// 3).
Val quad_max(const Val& x);
Val quad_sum(const Val& x);

// Named barriers 1 … 15: sync waits until `threads` threads have come, those that only arrive included.
void named_sync(const Arg& barrier, int threads, Location where = Location::current());
void named_arrive(const Arg& barrier, int threads, Location where = Location::current());

// Slots of shared memory for tiles: some u32 words written by the producer, and bytes that bulk copies bring.
// Consumers get both with one wait. Both sides walk over the slots with a PipelineState of their own.
class Mailbox {
 public:
  struct Shape {
    std::string name;
    int slots = 1, words = 1;
    int64_t bytes = 0;  // that the copies bring each turn
    int consumers = 1;  // arrivals that free a slot
    std::string producer_role, consumer_role;
    std::vector<ir::BarrierFact::Copy> copies;
  };
  Mailbox(Block& block, Shape shape, Location where = Location::current());
  void init();  // as Pipeline::init

  // Producer (one thread): waits until the slot is free, writes the words, announces the bytes. Returns the
  // barrier for the copies.
  Val post(const PipelineState& state, const std::vector<Val>& words, Location where = Location::current());
  // Consumers: waits, then reads all words.
  std::vector<Val> receive(const PipelineState& state, Location where = Location::current());
  // One thread for each of the `consumers` arrivals: words and bytes have been read.
  void release(const PipelineState& state, Location where = Location::current());

 private:
  Val barrier(const Tensor& barriers, const PipelineState& state) const;
  Tensor words_of(const PipelineState& state) const;
  Shape shape_;
  Tensor full_, empty_, words_;
};

// A slot of shared memory that one role fills by ordinary stores and another reads, a turn at a time. Phases
// as in Mailbox: 0, 1, 0, … on both sides.
class Handoff {
 public:
  struct Shape {
    std::string name;
    int writers = 1, readers = 1;  // arrivals that hand the slot over, and that give it back
    std::string writer_role, reader_role;
  };
  Handoff(Block& block, Shape shape, Location where = Location::current());
  void init();

  void wait_until_free(const Var& phase, Location where = Location::current());  // writers, before they store
  void hand_over(Location where = Location::current());                          // one thread an arrival
  void wait(const Var& phase, Location where = Location::current());             // readers
  void give_back(Location where = Location::current());                          // one thread an arrival

 private:
  Shape shape_;
  Tensor full_, empty_;
};

}  // namespace rose::dsl
