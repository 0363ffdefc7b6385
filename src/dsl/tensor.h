// Tensors in memory: an address with a shape and strides, some of which are known only at run time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dsl/control.h"

namespace rose::dsl {

// One extent or stride, in elements: a host constant, or a kernel parameter of type s64.
struct Dim {
  int64_t size = 0;
  std::string name;  // of the parameter; empty for a constant
  Val value;         // set once the parameter exists

  Dim(int64_t n) : size(n) {}
  Dim(int n) : size(n) {}
  Dim(std::string parameter, Val v = {}) : name(std::move(parameter)), value(std::move(v)) {}
  bool is_static() const { return name.empty(); }
};

inline Dim dynamic(std::string name) { return Dim(std::move(name)); }
using Shape = std::vector<Dim>;
template <class... D>
Shape shape(D&&... dims) {
  return Shape{Dim(std::forward<D>(dims))...};
}

// A view; copying it copies no data. Element (i, j, …) lies at base + offset + Σ index·stride·element size.
struct Tensor {
  std::string name;
  Type dtype;
  Shape shape;  // outermost first
  std::vector<Dim> strides;
  Val base;            // u64 byte address; of shared memory: u32 on a GPU
  int64_t offset = 0;  // constant bytes beyond `base`
  int source = -1;     // number of the parameter or shared allocation that holds the data
  bool shared = false;

  int rank() const { return static_cast<int>(shape.size()); }
  int element_bytes() const { return dtype.bits() / 8; }
  // The sub-tensor at these leading coordinates (s64 values or literals). Unchecked: the caller keeps them in
  // range.
  Tensor operator()(const Arg& i) const;
  Tensor operator()(const Arg& i, const Arg& j) const { return (*this)(i)(j); }
  Tensor operator()(const Arg& i, const Arg& j, const Arg& k) const { return (*this)(i)(j)(k); }
  // `length` elements of the first dimension from `begin` on.
  Tensor slice(int64_t begin, int64_t length) const;
  // The same elements with the last dimension split into [n / inner, inner]; it must be contiguous and
  // divide.
  Tensor split_last(int64_t inner) const;
};

// Values that one access moves: each has one lane, or the lanes of one packed register (GPU) or vector (x86).
using Pack = std::vector<Val>;

// `count` consecutive elements beginning `elements` (+ a constant) after the tensor's first one. On a GPU, 8-
// and 16-bit elements come packed in 32-bit registers where the count allows, in accesses of up to 16 bytes,
// which the address must be aligned to. On x86, one vector of `count` lanes. Where `valid` (a predicate) is
// false, nothing is read and the values are zero.
Pack load_pack(const Tensor& t, const std::optional<Val>& elements, int64_t constant, int count,
               const std::optional<Val>& valid = {}, const char* row = nullptr,
               Location where = Location::current());
void store_pack(const Tensor& t, const std::optional<Val>& elements, int64_t constant, const Pack& values,
                const std::optional<Val>& valid = {}, const char* row = nullptr,
                Location where = Location::current());

// One element of a tensor of rank 0 or 1.
Val load(const Tensor& t, Location where = Location::current());
Val load(const Tensor& t, const Arg& index, Location where = Location::current());
void store(const Tensor& t, const Arg& value, Location where = Location::current());
void store_at(const Tensor& t, const Arg& index, const Arg& value, Location where = Location::current());

}  // namespace rose::dsl
