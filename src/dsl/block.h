// One block of threads of a kernel under construction: its parameters, its numbers, its shared memory, its
// barriers. On x86 a block is one thread.
#pragma once

#include <functional>
#include <string>

#include "dsl/tensor.h"

namespace rose::dsl {

struct Launch {
  Target target;
  int threads = 1;           // of a block; 1 on x86
  int cluster = 1;           // blocks of a cluster, along x
  int min_blocks = 0;        // resident blocks per multiprocessor that registers must allow; 0: unsaid
  bool cooperative = false;  // all blocks resident, grid barriers allowed
  bool pdl = false;          // may start before the kernel ahead of it has ended
};

class Block {
 public:
  const Target& target() const { return builder_.kernel.target; }
  bool gpu() const { return target().is_gpu(); }
  int threads() const { return builder_.kernel.threads[0]; }

  // Parameters, in the order of the calls. Tensors are row-major and contiguous unless strides (in elements)
  // are given; dynamic extents and strides become s64 parameters, one for each name, placed after the
  // tensor's pointer.
  Tensor input(std::string name, Type dtype, Shape shape, Shape strides = {});
  Tensor output(std::string name, Type dtype, Shape shape, Shape strides = {});
  Tensor inout(std::string name, Type dtype, Shape shape, Shape strides = {});
  Val scalar(std::string name, Type type);
  Val tensor_map(std::string name);        // u64 address of a 128-byte tensor map (GPU)
  Val dimension(const std::string& name);  // the value of a dynamic extent

  Val index(int axis = 0);  // s64: number of this block in the grid
  Val grid(int axis = 0);   // s64: number of blocks
  Val thread();             // s64: number of this thread in the block; 0 on x86
  Val thread32();           // u32, the same
  Val lane();               // u32: thread % 32
  Val warp();               // u32: thread / 32

  // Shared memory (on x86: scratch memory of the calling thread). Not initialised.
  Tensor shared(std::string name, Type dtype, Shape shape, int alignment = 16);
  void barrier(Location where = Location::current());  // all threads of the block; nothing on x86

  explicit Block(Builder& builder) : builder_(builder) {}

 private:
  Tensor parameter(std::string name, Type dtype, Shape shape, Shape strides);
  Val read_parameter(ir::Parameter parameter);
  void bind(Dim& dim);

  Builder& builder_;
  std::vector<std::pair<std::string, Val>> dims_;
  int sources_ = 0;
};

// Records `body` as a kernel and verifies nothing: ir::optimize and ir::verify come after. Throws IrError.
ir::Kernel record(std::string name, const Launch& launch, const std::function<void(Block&)>& body);

}  // namespace rose::dsl
