#include "layout/algebra.h"
#include "layout/regroup.h"

namespace rose::layout {

Tiler::Tiler(const IntTuple& shape) {
  if (shape.is_wildcard()) {
    value_ = _;
  } else if (!shape.is_tuple()) {
    value_ = Layout(shape, 1);
  } else {
    value_ = std::vector<Tiler>(shape.modes().begin(), shape.modes().end());
  }
}

Tiler Tiler::by_mode(std::vector<Tiler> modes) {
  Tiler result;
  result.value_ = std::move(modes);
  return result;
}

std::string to_string(const Tiler& tiler) {
  if (tiler.is_wildcard()) return "_";
  if (tiler.is_layout()) return to_string(tiler.layout());
  std::string text = "<";
  for (const Tiler& mode : tiler.modes()) text += (text.size() > 1 ? "," : "") + to_string(mode);
  return text + ">";
}

namespace {

// Composes the leaves of b, one after the other, with the coalesced modes of a.
//
// Seen from a, an index is a number whose digits are a's coordinates. a is linear in its digits, so
// a(b(c)) is a layout exactly if no digit but the last ever overflows into the next. A leaf of b alone is
// checked while it is split; `reach_` adds up the largest digits of all leaves, to check their sum.
class Composer {
 public:
  Composer(const Layout& a, const Layout& b)
      : a_(a), b_(b), digits_(coalesce(a).modes()), reach_(digits_.size()) {}

  Layout compose() { return compose(b_.shape(), b_.stride()); }

 private:
  Layout compose(const IntTuple& shape, const IntTuple& stride) {
    if (!shape.is_tuple()) return compose_leaf(shape.value(), stride.value());
    std::vector<Layout> modes;
    for (int i = 0; i < shape.rank(); ++i) modes.push_back(compose(shape[i], stride[i]));
    return make_layout(modes);
  }

  Layout compose_leaf(const int64_t shape, const int64_t stride) {
    if (shape == 1) return {1, 0};
    if (stride == 0) return {shape, 0};
    if (stride < 0) inadmissible(fmt::format("{}:{} reaches below index 0", shape, stride));

    std::vector<Mode> result;
    int64_t rest = shape, step = stride;  // what is left of the leaf, in units of the current digit
    for (size_t i = 0; i + 1 < digits_.size() && rest > 1; ++i) {
      const int64_t extent = digits_[i].shape;
      if (step >= extent) {
        if (step % extent != 0) {
          inadmissible(
              fmt::format("{}:{}: stride {} is no multiple of extent {}", shape, stride, step, extent));
        }
        step /= extent;
        continue;
      }
      int64_t taken = rest;
      if (checked_mul(rest - 1, step) >= extent) {  // the leaf goes on in the next digit
        if (extent % step != 0) {
          inadmissible(
              fmt::format("{}:{}: extent {} is no multiple of stride {}", shape, stride, extent, step));
        }
        taken = extent / step;
        if (rest % taken != 0) {
          inadmissible(fmt::format("{}:{}: {} positions cannot be split into runs of {} / {} = {}", shape,
                                   stride, rest, extent, step, taken));
        }
      }
      emit(result, i, taken, step);
      rest /= taken;
      step = 1;
    }
    if (rest > 1) emit(result, digits_.size() - 1, rest, step);
    return Layout::from_modes(result);
  }

  void emit(std::vector<Mode>& result, size_t digit, int64_t shape, int64_t step) {
    reach_[digit] = checked_add(reach_[digit], checked_mul(shape - 1, step));
    if (digit + 1 < digits_.size() && reach_[digit] >= digits_[digit].shape) {
      inadmissible(fmt::format("the modes of {} together reach position {} of extent {}", to_string(b_),
                               reach_[digit], digits_[digit].shape));
    }
    result.push_back({shape, checked_mul(step, digits_[digit].stride), digits_[digit].axis});
  }

  [[noreturn]] void inadmissible(const std::string& reason) {
    fail(fmt::format("composition {} o {} is inadmissible: {} in {}", to_string(a_), to_string(b_), reason,
                     to_string(Layout::from_modes(digits_))));
  }

  const Layout& a_;
  const Layout& b_;
  std::vector<Mode> digits_;
  std::vector<int64_t> reach_;
};

}  // namespace

Layout composition(const Layout& a, const Tiler& b) {
  if (b.is_wildcard()) return a;
  if (b.is_layout()) return Composer(a, b.layout()).compose();
  return by_mode("composition", a, b, composition);
}

}  // namespace rose::layout
