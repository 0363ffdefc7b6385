// The pieces of warp-specialised kernels: roles, memory barriers, pipelines between the copy engine (TMA) and
// the matrix units, and wgmma products. sm_90a; the barriers and copies also exist on Blackwell.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "dsl/block.h"

namespace rose::dsl {

// A number that all threads of a warp share: the warp's number, known to the compiler as the same in every
// lane.
Val uniform_warp(Block& block);
// True in one lane of the warp.
Val elected();

// One branch of a warp-specialised kernel: `threads` consecutive threads run `body` with `registers`
// registers each (setmaxnreg; 0 leaves them). Roles take the block's threads in the order given, whole
// warpgroups each.
struct RoleBody {
  std::string name;
  int threads;
  int registers;
  std::function<void(const Val& warpgroup)> body;  // u32: number of this warpgroup within the role
};
void roles(Block& block, const std::vector<RoleBody>& bodies, Location where = Location::current());

// Where a pipeline stands: which stage is next, and the parity of its turn.
struct PipelineState {
  Var stage{u32, 0}, phase{u32, 0};
  void advance(int stages);
};

// A ring of stages in shared memory. The producer fills a stage with bulk copies that announce their bytes;
// consumers wait for the bytes and release the stage when they have read it. Every wait and arrival is on an
// mbarrier.
class Pipeline {
 public:
  struct Shape {
    std::string name;
    int stages = 2;
    int64_t bytes = 0;  // that arrive in one block's stage each turn, from all blocks of the cluster
    int consumers = 1;  // arrivals of one block that release a stage
    int producers = 1;  // threads of the producer that each announce and load a part of a stage
    int cluster = 1;    // blocks whose consumers must release a stage before any producer refills it
    std::string producer_role, consumer_role;
    std::vector<ir::BarrierFact::Copy> copies;  // what makes up `bytes`, for the verifier
  };
  Pipeline(Block& block, Shape shape, Location where = Location::current());

  // By one thread, before any use; then a barrier over the block or cluster must follow (see sync_setup).
  void init();

  // Producer (one thread): waits until the stage is free and announces its bytes. Returns the barrier for the
  // copies.
  Val acquire(const PipelineState& state, Location where = Location::current());
  // The same for one of several producers, which announces its own part of the bytes.
  Val acquire_part(const PipelineState& state, int64_t bytes, Location where = Location::current());
  // The barrier of a stage that was acquired already.
  Val full_barrier(const Arg& stage) const { return barrier_address(full_, stage); }
  // Consumers: waits until the stage's bytes are there.
  void wait(const PipelineState& state, Location where = Location::current());
  // One thread of a consumer: gives the stage back, to every block of the cluster.
  void release(const Arg& stage, Location where = Location::current());

  int stages() const { return shape_.stages; }

 private:
  Val barrier_address(const Tensor& barriers, const Arg& stage) const;
  Block& block_;
  Shape shape_;
  Tensor full_, empty_;
};

// Makes initialised barriers visible to the copy engine and to the whole block, or cluster.
void sync_setup(Block& block);

// Shared-memory address of a tensor's first byte (u32).
Val address_of(const Tensor& shared);

// Loads a box: coordinates innermost first, in elements. `blocks` (0: this block alone) is the multicast
// mask.
void tma_load(const Val& destination, const Val& map, std::initializer_list<Arg> coordinates,
              const Val& barrier, int blocks = 0, Location where = Location::current());
// The same for this block alone, with an L2 policy (createpolicy).
void tma_load_hint(const Val& destination, const Val& map, std::initializer_list<Arg> coordinates,
                   const Val& barrier, const Val& policy, Location where = Location::current());
void tma_store(const Val& map, std::initializer_list<Arg> coordinates, const Val& source,
               Location where = Location::current());

// A 64-bit shared-memory descriptor of a K-major operand tile in the 128-byte swizzle (rows of 64 16-bit
// elements). Adding 2 to it moves 16 elements along K; adding 512 moves 64 rows.
Val descriptor_k_major_128(const Val& address);

// f32 accumulators of one warpgroup: a [64 · count, n] tile in `count` wgmma fragments.
// Element of (row, column): thread t of the warpgroup holds, for column group j = column / 8 of fragment f,
// registers [f][4j … 4j+3]: rows 16·(t/32) + (t%32)/4 (+ 8 for the last two), columns 8j + 2·(t%4) (+ 1).
struct Accumulator {
  int n = 0;
  std::vector<std::vector<Var>> fragments;
  Accumulator(int count, int columns);
};

// Queues D[f] (+)= A[64, 16] · B[16, n]; `accumulate` false overwrites D. Between mma_begin and mma_wait
// nothing else may touch the accumulators.
void mma(Accumulator& d, int fragment, Type type, const Val& a, const Val& b, const Val& accumulate,
         Location where = Location::current());
void mma_begin(Location where = Location::current());
void mma_commit(Location where = Location::current());
void mma_wait(
    int pending,
    Location where = Location::current());  // until at most `pending` committed groups are unfinished

}  // namespace rose::dsl
