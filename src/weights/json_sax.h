// Streaming JSON for the small, strict documents of model files: constant memory whatever the nesting,
// duplicate keys seen, every unexpected value an error that names the file. Private to the room.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace rose::weights {

// Derive, override the events that the document may contain, and call parse(). Depth 1 is inside the
// outermost object.
class StrictJson : protected nlohmann::json_sax<nlohmann::json> {
 public:
  // Throws WeightsError with `field` ("header", "index") when the text is not valid JSON (which includes
  // invalid UTF-8 in strings) or its outermost value is not an object.
  void parse(std::string_view text, const std::filesystem::path& file, const std::string& field);

 protected:
  // What was met; the defaults refuse it. Names of keys come through on_key before their value.
  virtual void on_key(std::string_view key) = 0;
  virtual void on_text(std::string_view text) { refuse("a string"); }
  virtual void on_unsigned(uint64_t value) { refuse("a number"); }
  virtual void on_open_object() { refuse("an object"); }
  virtual void on_close_object() {}
  virtual void on_open_array() { refuse("an array"); }
  virtual void on_close_array() {}

  // Where the parser stands, for messages: "tensor 'a': dtype".
  virtual std::string where() const = 0;

  // From on_key: let the value of this key pass without events.
  void skip_value() { skipping_ = true; }

  size_t depth() const { return keys_.size(); }
  const std::filesystem::path& file() const { return file_; }
  [[noreturn]] void refuse(std::string_view what) const;

 private:
  bool scalar(std::string_view what);
  bool open();
  bool close();
  void value_skipped();

  bool null() override;
  bool boolean(bool) override;
  bool number_integer(int64_t) override;
  bool number_unsigned(uint64_t value) override;
  bool number_float(double, const std::string&) override;
  bool string(std::string& text) override;
  bool binary(nlohmann::json::binary_t&) override;
  bool start_object(std::size_t) override;
  bool key(std::string& name) override;
  bool end_object() override;
  bool start_array(std::size_t) override;
  bool end_array() override;
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception& error) override;

  std::filesystem::path file_;
  std::string field_;
  std::vector<std::set<std::string, std::less<>>> keys_;  // of every open object, to find duplicates
  bool skipping_ = false;
  size_t skipped_depth_ = 0;  // open brackets inside the value that is being skipped
  bool started_ = false;
};

}  // namespace rose::weights
