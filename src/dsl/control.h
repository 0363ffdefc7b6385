// Recorded control flow: IF / ELSE, FOR, WHILE, BREAK, CONTINUE. The macros open ordinary C++ blocks, so
// helper functions may return values and host loops unroll inside them. Leaving a recorded block by a host
// break, return or goto is detected and reported with the line of the block. A host continue only ends the
// recording of the block.
//
//   FOR (k, 0, tiles) { … }            k is a Val of the bounds' type, from 0 while k < tiles
//   FOR_STEP (k, 0, length, 16) { … }
//   IF (x > 0) { … } ELSE { … }       a chain is nested: ELSE { IF (y > 0) { … } ELSE { … } }
//   WHILE (count < limit) { … }        the condition is recorded inside the loop and read before each turn
//   BREAK;  BREAK_IF(condition);  CONTINUE;
#pragma once

#include <functional>

#include "dsl/value.h"

namespace rose::dsl {

// One recorded block. once() is true exactly once; a destructor without a second call means a host jump out.
class Scope {
 public:
  explicit Scope(const char* what, Location where);
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  bool once();

 protected:
  void open(ir::Block& block);
  void close();  // leaves the block; runs at the second once()
  virtual void finish() {}
  const char* what_;
  SourceLine where_;
  int state_ = 0;
};

class IfScope : public Scope {
 public:
  explicit IfScope(const Arg& condition, Location where = Location::current());
  // A branch that a fixed set of threads takes (see Block::role).
  IfScope(const Arg& condition, ir::Role role, Location where);
};

class ElseScope : public Scope {  // continues the If that was recorded last in this block
 public:
  explicit ElseScope(Location where = Location::current());
};

struct Unroll {
  int count = 0;
};  // FOR's last argument: Unroll{1} keeps the loop rolled

class ForScope : public Scope {
 public:
  ForScope(const Arg& begin, const Arg& end, const Arg& step = 1, Unroll unroll = {},
           Location where = Location::current());
  ForScope(const Arg& begin, const Arg& end, Unroll unroll, Location where = Location::current())
      : ForScope(begin, end, 1, unroll, where) {}
  Val index();

 private:
  void finish() override;
  Var counter_;
  ir::Loop* loop_;
  ir::Operand step_;
};

class WhileScope : public Scope {
 public:
  explicit WhileScope(const std::function<Val()>& condition, Location where = Location::current());

 private:
  void finish() override;
};

void break_loop(Location where = Location::current());
void continue_loop(Location where = Location::current());
void return_from_kernel(Location where = Location::current());

}  // namespace rose::dsl

#define IF(...) for (::rose::dsl::IfScope rose_if_{__VA_ARGS__}; rose_if_.once();)
#define ELSE for (::rose::dsl::ElseScope rose_else_{}; rose_else_.once();)
#define FOR(name, ...)                                                                \
  for (::rose::dsl::ForScope name##_scope{__VA_ARGS__}; name##_scope.once();)         \
    if ([[maybe_unused]] const ::rose::dsl::Val name = name##_scope.index(); false) { \
    } else  // a later else is not this if's
#define FOR_STEP(name, begin, end, step) FOR (name, begin, end, step)
#define WHILE(...)                                                                         \
  for (::rose::dsl::WhileScope rose_while_{[&] { return ::rose::dsl::Val(__VA_ARGS__); }}; \
       rose_while_.once();)
#define BREAK ::rose::dsl::break_loop()
#define CONTINUE ::rose::dsl::continue_loop()
#define BREAK_IF(...)          \
  IF (__VA_ARGS__) {           \
    ::rose::dsl::break_loop(); \
  }
