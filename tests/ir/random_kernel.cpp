#include "random_kernel.h"

#include <algorithm>
#include <random>

namespace rose::ir::test {
namespace {

const std::vector<Type> kIntegers{u16, s16, u32, s32, u64, s64};

class Author {
 public:
  Author(uint64_t seed, const Target& target) : random_(seed), hand_(1, Arch::kX86) {
    hand_.kernel.name = "random";
    hand_.kernel.target = target;
    hand_.kernel.shared_bytes = 0;
  }

  Kernel write() {
    buffer_ = parameter("buffer", Parameter::Kind::kPointer, u64);
    values_.push_back(parameter("a", Parameter::Kind::kScalar, s32));
    values_.push_back(parameter("b", Parameter::Kind::kScalar, u64));
    values_.push_back(parameter("c", Parameter::Kind::kScalar, f32));
    for (Type type : {u16, s16, u32, s32, u64, s64, f32, u32, s64}) {
      Operand variable = hand_.variable(type);
      hand_.assign(variable, any(type));
      variables_.push_back(variable);
    }
    flags_.push_back(compare());
    statements(18, 0);
    int64_t at = 512;  // what the variables hold in the end
    for (const Operand& v : variables_) store(v, buffer_, at), at += 8;
    return hand_.kernel;
  }

 private:
  int below(int n) { return static_cast<int>(random_() % static_cast<uint64_t>(n)); }
  bool chance(int percent) { return below(100) < percent; }
  template <class T>
  const T& pick(const std::vector<T>& list) {
    return list[static_cast<size_t>(below(static_cast<int>(list.size())))];
  }

  Operand parameter(const char* name, Parameter::Kind kind, Type type) {
    hand_.kernel.parameters.push_back({name, kind, type});
    return hand_.emit("parameter", type, {}, {static_cast<int64_t>(hand_.kernel.parameters.size()) - 1});
  }

  Operand number(Type type) {
    if (type == f32)
      return constant(f32,
                      pick(std::vector<double>{0.0, -0.0, 1.0, -1.0, 0.5, 3.25, 1e30, -1e-30, INFINITY}));
    static const std::vector<uint64_t> telling{0,      1,          2,          3,          7,         8,
                                               10,     63,         64,         ~0ull,      ~1ull,     0x7fff,
                                               0x8000, 0x7fffffff, 0x80000000, 1ull << 63, 1ull << 40};
    uint64_t bits = chance(80) ? pick(telling) : random_();
    if (type.bits() < 64) bits &= (uint64_t{1} << type.bits()) - 1;
    return {kNoReg, type, bits};
  }

  // A value, variable or constant of the type.
  Operand any(Type type, int constants = 25) {
    std::vector<Operand> fitting;
    for (const Operand& v : values_)
      if (v.type == type) fitting.push_back(v);
    for (const Operand& v : variables_)
      if (v.type == type) fitting.push_back(v);
    return fitting.empty() || chance(constants) ? number(type) : pick(fitting);
  }

  Operand compare() {
    Type type = chance(20) ? f32 : pick(kIntegers);
    return hand_.compare(static_cast<Comparison>(below(6)), any(type, 5), any(type));
  }

  Operand value() {
    if (chance(15)) return real();
    Type type = pick(kIntegers);
    switch (below(16)) {
      case 0:
        return hand_.emit("shl", type,
                          {any(type), chance(70) ? constant(u32, int64_t{below(70)}) : any(u32)});
      case 1:
        return hand_.emit("shr", type,
                          {any(type), chance(70) ? constant(u32, int64_t{below(70)}) : any(u32)});
      case 2:
      case 3: {
        Operand divisor = constant(type, pick(std::vector<int64_t>{1, 2, 3, 8, 10, 64, 1000, 16384}));
        return hand_.emit(chance(50) ? "div" : "rem", type, {any(type, 10), divisor});
      }
      case 4:
        return hand_.emit(
            "selp", type,
            {any(type), any(type), chance(10) ? constant(pred, int64_t{below(2)}) : pick(flags_)});
      case 5:
        return hand_.emit(type.is_signed() ? pick(std::vector<std::string>{"neg", "abs", "not"}) : "not",
                          type, {any(type)});
      case 6: {
        Type from = pick(kIntegers);
        return from == type ? hand_.emit("mov", type, {any(type)})
                            : hand_.emit("cvt." + to_string(type) + "." + to_string(from), {}, {any(from)});
      }
      case 7:
        return chance(50) ? hand_.emit("mul.wide.u32", {}, {any(u32), any(u32)})
                          : hand_.emit("mul.wide.s32", {}, {any(s32), any(s32)});
      case 8:
        return hand_.emit("mad.lo", type, {any(type), any(type), any(type)});
      case 9:
        return hand_.emit("mov", type, {any(type)});
      case 10:
        return hand_.emit("bitcast", u32, {any(s32)});
      case 11:
        return load(type);
      case 12:
      case 13:
        return hand_.emit("add", type, {any(type, 10), number(type)});
      default:
        return hand_.emit(
            pick(std::vector<std::string>{"add", "sub", "mul.lo", "and", "or", "xor", "min", "max"}), type,
            {any(type), any(type, 40)});
    }
  }

  Operand real() {
    switch (below(6)) {
      case 0:
        return hand_.emit("neg", f32, {any(f32)});
      case 1:
        return hand_.emit("cvt.f32.s32", {}, {any(s32)});
      case 2:
        return hand_.emit("selp", f32, {any(f32), any(f32), pick(flags_)});
      default:
        return hand_.emit(pick(std::vector<std::string>{"add", "sub", "mul"}), f32, {any(f32), any(f32, 50)});
    }
  }

  // buffer + constants + (something & 31) * 8, and a constant byte offset: inside the first 512 bytes.
  std::pair<Operand, int64_t> place() {
    Operand address = buffer_;
    int64_t offset = 8 * below(8);
    if (chance(60)) {
      Operand index = hand_.emit("and", u64, {any(u64, 0), constant(u64, int64_t{31})});
      address =
          hand_.emit("add", u64, {address, hand_.emit("mul.lo", u64, {index, constant(u64, int64_t{8})})});
    }
    for (int k = below(3); k > 0; --k) {
      int64_t part = 8 * below(8);
      address = hand_.emit("add", u64,
                           chance(50) ? std::vector<Operand>{address, constant(u64, part)}
                                      : std::vector<Operand>{constant(u64, part), address});
    }
    if (chance(20)) {  // forth and back, beyond what an access holds
      Operand far = constant(u64, int64_t{1} << (20 + below(20)));
      address = hand_.emit("sub", u64, {hand_.emit("add", u64, {address, far}), far});
      if (chance(50)) offset -= 16, address = hand_.emit("add", u64, {address, constant(u64, int64_t{16})});
    }
    return {address, offset};
  }

  Operand load(Type type) {
    auto [address, offset] = place();
    return hand_.emit("ld.global", type, {address}, {offset});
  }

  void store(Operand what, const Operand& address, int64_t offset) {
    if (what.type == f32) {  // which NaN an operation returns has no meaning: store one and the same
      Operand number = hand_.compare(Comparison::kEq, what, what);
      what = hand_.emit("selp", f32, {what, constant(f32, 12345.0), number});
    }
    hand_.append("st.global", what.type, {}, {address, what}, {offset});
  }

  void guard_last() {
    (hand_.blocks.empty() ? hand_.kernel.body : *hand_.blocks.back()).back().instruction.guard = {
        pick(flags_).reg, chance(50)};
  }

  void statements(int count, int depth) {
    auto values = values_.size(), flags = flags_.size();
    for (int k = 0; k < count; ++k) {
      switch (below(12)) {
        case 0:
          flags_.push_back(chance(70)
                               ? compare()
                               : hand_.emit(chance(50) ? "and" : "xor", pred, {pick(flags_), pick(flags_)}));
          break;
        case 1:
        case 2: {
          Operand variable = pick(variables_);
          hand_.assign(variable, any(variable.type, 15));
          if (chance(20)) guard_last();
          break;
        }
        case 3: {
          auto [address, offset] = place();
          store(any(chance(20) ? f32 : pick(kIntegers)), address, offset);
          if (chance(20)) guard_last();
          break;
        }
        case 4:
          if (depth < 3) {
            std::function<void()> otherwise;
            if (chance(50)) otherwise = [&] { statements(4, depth + 1); };
            hand_.branch(pick(flags_), [&] { statements(4, depth + 1); }, otherwise);
          }
          break;
        case 5:
          if (depth < 3) loop(depth);
          break;
        case 6:
          if (loops_ > 0 && chance(30))
            hand_.branch(pick(flags_), [&] {
              hand_.jump(chance(50) ? Statement::Kind::kBreak : Statement::Kind::kContinue);
            });
          break;
        case 7: {  // the same again, for merging
          if (values_.size() < 2) break;
          Type type = pick(kIntegers);
          Operand x = any(type), y = any(type);
          values_.push_back(hand_.emit("add", type, {x, y})),
              values_.push_back(hand_.emit("add", type, {x, y}));
          break;
        }
        default:
          values_.push_back(value());
      }
    }
    values_.resize(values), flags_.resize(flags);
  }

  // for (i = first; i != first + turns * step; i += step), of any integer type; the body reads i through a
  // copy.
  void loop(int depth) {
    Type type = chance(60) ? s64 : pick(kIntegers);
    Operand counter = hand_.variable(type),
            first = chance(50) ? constant(type, int64_t{below(5)}) : any(type, 30);
    Operand step = constant(type, int64_t{chance(30) && type.is_signed() ? -1 - below(9) : 1 + below(9)});
    uint64_t distance = step.bits * static_cast<uint64_t>(below(5));
    hand_.assign(counter, first);
    Operand end = hand_.emit("add", type, {counter, number_of(type, distance)});
    Loop* recorded = nullptr;
    ++loops_;
    hand_.while_([&] { return hand_.compare(Comparison::kNe, counter, end); },
                 [&] {
                   auto values = values_.size();
                   values_.push_back(hand_.emit("mov", type, {counter}));
                   if (chance(70))
                     values_.push_back(hand_.emit("mul.lo", type, {values_.back(), number(type)}));
                   if (chance(20)) values_.push_back(counter);  // also read as it stands
                   statements(5, depth + 1);
                   values_.resize(values);
                 });
    --loops_;
    recorded = (hand_.blocks.empty() ? hand_.kernel.body : *hand_.blocks.back()).back().loop.get();
    hand_.blocks.push_back(&recorded->step);
    hand_.assign(counter, hand_.emit("add", type, {counter, step}));
    hand_.blocks.pop_back();
  }

  static Operand number_of(Type type, uint64_t bits) {
    return {kNoReg, type, type.bits() < 64 ? bits & ((uint64_t{1} << type.bits()) - 1) : bits};
  }

  std::mt19937_64 random_;
  HandKernel hand_;
  Operand buffer_;
  std::vector<Operand> values_, variables_, flags_;
  int loops_ = 0;
};

}  // namespace

Kernel random_kernel(uint64_t seed, const Target& target) { return Author(seed, target).write(); }

}  // namespace rose::ir::test
