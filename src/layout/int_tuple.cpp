#include "layout/int_tuple.h"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace rose::layout {

IntTuple IntTuple::tuple(std::vector<IntTuple> modes) {
  IntTuple result;
  result.modes_ = std::move(modes);
  return result;
}

IntTuple IntTuple::basis(int axis, int64_t scale) {
  if (axis < 0) fail(fmt::format("basis axis {} is negative", axis));
  IntTuple result(scale);
  if (scale != 0) {
    result.kind_ = Kind::kBasis;
    result.axis_ = axis;
  }
  return result;
}

int64_t IntTuple::value() const {
  if (!is_int()) fail(fmt::format("{} stands where one integer is needed", to_string(*this)));
  return value_;
}

int64_t IntTuple::scale() const {
  if (!is_int() && !is_basis()) {
    fail(fmt::format("{} stands where an integer or a basis vector is needed", to_string(*this)));
  }
  return value_;
}

const IntTuple& IntTuple::operator[](int mode) const {
  if (mode < 0 || mode >= rank()) {
    fail(fmt::format("mode {} asked of {}, which has rank {}", mode, to_string(*this), rank()));
  }
  return is_tuple() ? modes_[mode] : *this;
}

std::span<const IntTuple> IntTuple::modes() const {
  if (is_tuple()) return modes_;
  return {this, 1};
}

std::string to_string(const IntTuple& tuple) {
  if (tuple.is_wildcard()) return "_";
  if (tuple.is_int()) return fmt::to_string(tuple.value());
  if (tuple.is_basis()) return fmt::format("{}@{}", tuple.scale(), tuple.axis());
  std::string text = "(";
  for (const IntTuple& mode : tuple.modes()) {
    if (text.size() > 1) text += ',';
    text += to_string(mode);
  }
  return text + ')';
}

namespace {

// Recursive descent over: tuple = "(" [tuple {"," tuple}] ")" | "_" | integer ["@" integer].
class TupleParser {
 public:
  explicit TupleParser(std::string_view text) : text_(text) {}

  IntTuple parse() {
    IntTuple result = element(0);
    skip_spaces();
    if (at_ != text_.size()) wrong("the end");
    return result;
  }

 private:
  static constexpr int kDeepest = 64;  // bounds the recursion on hostile text

  IntTuple element(int nesting) {
    if (nesting > kDeepest) wrong(fmt::format("at most {} levels of nesting", kDeepest));
    if (accept('_')) return _;
    if (!accept('(')) {
      int64_t value = integer();
      return accept('@') ? IntTuple::basis(static_cast<int>(std::min<int64_t>(integer(), INT32_MAX)), value)
                         : IntTuple(value);
    }
    std::vector<IntTuple> modes;
    if (accept(')')) return IntTuple::tuple(modes);
    do modes.push_back(element(nesting + 1));
    while (accept(','));
    if (!accept(')')) wrong("',' or ')'");
    return IntTuple::tuple(modes);
  }

  int64_t integer() {
    skip_spaces();
    int64_t value = 0;
    const char* begin = text_.data() + at_;
    auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
    if (error != std::errc()) wrong("a 64-bit integer");
    at_ += end - begin;
    return value;
  }

  bool accept(char expected) {
    skip_spaces();
    if (at_ == text_.size() || text_[at_] != expected) return false;
    ++at_;
    return true;
  }

  void skip_spaces() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }

  [[noreturn]] void wrong(const std::string& expected) {
    fail(fmt::format("\"{}\", character {}: expected {}", text_, at_ + 1, expected));
  }

  std::string_view text_;
  size_t at_ = 0;
};

void collect_leaves(const IntTuple& tuple, std::vector<IntTuple>& out) {
  if (!tuple.is_tuple()) {
    out.push_back(tuple);
    return;
  }
  for (const IntTuple& mode : tuple.modes()) collect_leaves(mode, out);
}

IntTuple take_leaves(std::span<const IntTuple>& leaves, const IntTuple& profile) {
  if (!profile.is_tuple()) {
    IntTuple leaf = leaves.front();
    leaves = leaves.subspan(1);
    return leaf;
  }
  std::vector<IntTuple> modes;
  for (const IntTuple& mode : profile.modes()) modes.push_back(take_leaves(leaves, mode));
  return IntTuple::tuple(std::move(modes));
}

void require_same_rank(const IntTuple& a, const IntTuple& b) {
  if (a.rank() != b.rank()) {
    fail(fmt::format("{} has rank {} but {} has rank {}", to_string(a), a.rank(), to_string(b), b.rank()));
  }
}

int64_t integer_coordinate(const IntTuple& coord, const IntTuple& shape) {
  if (!coord.is_int()) {
    fail(fmt::format("coordinate {} stands where the shape {} needs an integer", to_string(coord),
                     to_string(shape)));
  }
  return coord.value();
}

// Calls visit(coordinate of mode i, i) for the modes of a tuple shape. An integer is split over them, mode 0
// fastest; the last mode gets all that is left.
template <class Visit>
void for_each_mode(const IntTuple& coord, const IntTuple& shape, const Visit& visit) {
  if (coord.is_tuple()) {
    require_same_rank(coord, shape);
    for (int i = 0; i < shape.rank(); ++i) visit(coord[i], i);
    return;
  }
  int64_t rest = integer_coordinate(coord, shape);
  if (rest < 0 || (rest > 0 && shape.rank() == 0)) {
    fail(fmt::format("coordinate {} cannot be split over {}", rest, to_string(shape)));
  }
  for (int i = 0; i < shape.rank(); ++i) {
    int64_t extent = i + 1 == shape.rank() ? 0 : product(shape[i]);
    visit(IntTuple(extent == 0 ? rest : rest % extent), i);
    if (extent != 0) rest /= extent;
  }
}

// The integer coordinate of each leaf.
void collect_digits(const IntTuple& coord, const IntTuple& shape, std::vector<IntTuple>& out) {
  if (!shape.is_tuple()) {
    out.emplace_back(integer_coordinate(coord, shape));
  } else {
    for_each_mode(coord, shape, [&](const IntTuple& c, int i) { collect_digits(c, shape[i], out); });
  }
}

}  // namespace

IntTuple parse_tuple(std::string_view text) { return TupleParser(text).parse(); }

int depth(const IntTuple& tuple) {
  if (!tuple.is_tuple()) return 0;
  int deepest = 0;
  for (const IntTuple& mode : tuple.modes()) deepest = std::max(deepest, depth(mode));
  return deepest + 1;
}

int64_t product(const IntTuple& tuple) {
  if (!tuple.is_tuple()) return tuple.value();
  int64_t result = 1;
  for (const IntTuple& mode : tuple.modes()) result = checked_mul(result, product(mode));
  return result;
}

std::vector<IntTuple> leaves(const IntTuple& tuple) {
  std::vector<IntTuple> result;
  collect_leaves(tuple, result);
  return result;
}

IntTuple flatten(const IntTuple& tuple) { return tuple.is_tuple() ? IntTuple::tuple(leaves(tuple)) : tuple; }

IntTuple unflatten(std::span<const IntTuple> flat, const IntTuple& profile) {
  size_t needed = leaves(profile).size();
  if (flat.size() != needed) {
    fail(fmt::format("unflatten: {} leaves for {}, which has {}", flat.size(), to_string(profile), needed));
  }
  return take_leaves(flat, profile);
}

IntTuple product_each(const IntTuple& tuple) {
  if (!tuple.is_tuple()) return tuple;
  std::vector<IntTuple> products;
  for (const IntTuple& mode : tuple.modes()) products.emplace_back(product(mode));
  return IntTuple::tuple(std::move(products));
}

bool congruent(const IntTuple& a, const IntTuple& b) {
  if (a.is_tuple() != b.is_tuple()) return false;
  if (!a.is_tuple()) return true;
  return std::ranges::equal(a.modes(), b.modes(), congruent);
}

bool compatible(const IntTuple& a, const IntTuple& b) {
  if (!a.is_tuple()) return a.value() == product(b);
  return b.is_tuple() && std::ranges::equal(a.modes(), b.modes(), compatible);
}

int64_t crd2idx(const IntTuple& coord, const IntTuple& shape, const IntTuple& stride) {
  if (shape.is_tuple() != stride.is_tuple() || shape.rank() != stride.rank()) {
    fail(fmt::format("shape {} and stride {} are not congruent", to_string(shape), to_string(stride)));
  }
  if (!shape.is_tuple()) return checked_mul(integer_coordinate(coord, shape), stride.value());
  int64_t index = 0;
  for_each_mode(coord, shape, [&](const IntTuple& mode_coord, int i) {
    index = checked_add(index, crd2idx(mode_coord, shape[i], stride[i]));
  });
  return index;
}

int64_t crd2idx(const IntTuple& coord, const IntTuple& shape) {
  std::vector<IntTuple> digits;
  collect_digits(coord, shape, digits);
  std::vector<IntTuple> extents = leaves(shape);
  int64_t index = 0;
  for (size_t i = digits.size(); i-- > 0;) {
    index = checked_add(checked_mul(index, extents[i].value()), digits[i].value());
  }
  return index;
}

IntTuple idx2crd(int64_t index, const IntTuple& shape) {
  if (index < 0 || index >= product(shape)) {
    fail(fmt::format("index {} is outside [0, {}) of shape {}", index, product(shape), to_string(shape)));
  }
  std::vector<IntTuple> digits;
  collect_digits(index, shape, digits);
  return unflatten(digits, shape);
}

IntTuple idx2crd(int64_t index, const IntTuple& shape, const IntTuple& stride) {
  if (!congruent(shape, stride)) {
    fail(fmt::format("shape {} and stride {} are not congruent", to_string(shape), to_string(stride)));
  }
  std::vector<IntTuple> extents = leaves(shape), strides = leaves(stride), coordinate;
  for (size_t i = 0; i < extents.size(); ++i) {
    int64_t step = strides[i].value();
    coordinate.emplace_back(step == 0 ? int64_t{0} : index / step % extents[i].value());
  }
  return unflatten(coordinate, shape);
}

IntTuple crd2crd(const IntTuple& coord, const IntTuple& from_shape, const IntTuple& to_shape) {
  if (product(from_shape) != product(to_shape)) {
    fail(fmt::format("{} has {} elements but {} has {}", to_string(from_shape), product(from_shape),
                     to_string(to_shape), product(to_shape)));
  }
  check_coordinate(coord, from_shape);
  return idx2crd(crd2idx(coord, from_shape), to_shape);
}

void check_coordinate(const IntTuple& coord, const IntTuple& shape) {
  if (coord.is_tuple() && shape.is_tuple()) {
    require_same_rank(coord, shape);
    for (int i = 0; i < shape.rank(); ++i) check_coordinate(coord[i], shape[i]);
    return;
  }
  int64_t extent = product(shape);
  if (coord.value() < 0 || coord.value() >= extent) {
    fail(fmt::format("coordinate {} is outside [0, {}) of {}", coord.value(), extent, to_string(shape)));
  }
}

}  // namespace rose::layout
