#include "weights/json_sax.h"

#include "weights/error.h"

namespace rose::weights {

void StrictJson::parse(std::string_view text, const std::filesystem::path& file, const std::string& field) {
  file_ = file;
  field_ = field;
  nlohmann::json::sax_parse(text.begin(), text.end(), static_cast<nlohmann::json_sax<nlohmann::json>*>(this));
}

void StrictJson::refuse(std::string_view what) const { fail(file_, where(), "{} is not allowed here", what); }

// A value of the skipped key has ended when no bracket of it is open any more.
void StrictJson::value_skipped() {
  if (skipped_depth_ == 0) skipping_ = false;
}

bool StrictJson::scalar(std::string_view what) {
  if (!started_) fail(file_, field_, "must be a JSON object, but is {}", what);
  if (!skipping_) refuse(what);
  value_skipped();
  return true;
}

bool StrictJson::null() { return scalar("null"); }
bool StrictJson::boolean(bool) { return scalar("a boolean"); }
bool StrictJson::number_integer(int64_t) { return scalar("a negative number"); }
bool StrictJson::number_float(double, const std::string&) {
  return scalar("a number with a fraction or beyond 64 bits");
}
bool StrictJson::binary(nlohmann::json::binary_t&) { return scalar("binary data"); }

bool StrictJson::number_unsigned(uint64_t value) {
  if (skipping_ || !started_) return scalar("a number");
  on_unsigned(value);
  return true;
}

bool StrictJson::string(std::string& text) {
  if (skipping_ || !started_) return scalar("a string");
  on_text(text);
  return true;
}

bool StrictJson::open() {
  ++skipped_depth_;
  return true;
}

bool StrictJson::close() {
  --skipped_depth_;
  value_skipped();
  return true;
}

bool StrictJson::start_object(std::size_t) {
  if (skipping_) return open();
  if (started_) on_open_object();
  started_ = true;
  keys_.emplace_back();
  return true;
}

bool StrictJson::end_object() {
  if (skipping_) return close();
  keys_.pop_back();
  if (!keys_.empty()) on_close_object();
  return true;
}

bool StrictJson::start_array(std::size_t) {
  if (skipping_) return open();
  if (!started_) fail(file_, field_, "must be a JSON object, but is an array");
  on_open_array();
  return true;
}

bool StrictJson::end_array() {
  if (skipping_) return close();
  on_close_array();
  return true;
}

bool StrictJson::key(std::string& name) {
  if (skipping_) return true;
  if (!keys_.back().insert(name).second) fail(file_, field_, "has the key {} twice", quote_name(name));
  on_key(name);
  return true;
}

bool StrictJson::parse_error(std::size_t position, const std::string&,
                             const nlohmann::json::exception& error) {
  // nlohmann's text has the reason after its own bracketed error number, and may quote a long piece of the
  // file.
  constexpr size_t kLongest = 160;
  std::string reason = error.what();
  if (auto end = reason.find("] "); end != reason.npos) reason.erase(0, end + 2);
  if (reason.size() > kLongest) reason = reason.substr(0, kLongest) + "…";
  fail(file_, field_, "is not valid JSON at byte {} (in {}): {}", position, where(), reason);
}

}  // namespace rose::weights
