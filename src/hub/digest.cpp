#include "hub/digest.h"

#include <openssl/evp.h>

#include <array>
#include <cstdio>

#include "hub/error.h"

namespace rose::hub {
namespace {

EVP_MD_CTX* raw(void* context) { return static_cast<EVP_MD_CTX*>(context); }

}  // namespace

void Digest::Free::operator()(void* context) const { EVP_MD_CTX_free(raw(context)); }

Digest::Digest(bool sha256) : context_(EVP_MD_CTX_new()) {
  if (!context_ || EVP_DigestInit_ex(raw(context_.get()), sha256 ? EVP_sha256() : EVP_sha1(), nullptr) != 1)
    fail("OpenSSL has no {} (a policy of this machine may forbid it)", sha256 ? "sha256" : "sha1");
}

Digest Digest::sha256() { return Digest(true); }

Digest Digest::git_blob(int64_t size) {
  Digest digest(false);
  std::string head = fmt::format("blob {}", size);
  head.push_back('\0');
  digest.update(head);
  return digest;
}

Digest Digest::like(std::string_view hex, int64_t size) {
  if (is_hex(hex, 64)) return sha256();
  if (is_hex(hex, 40)) return git_blob(size);
  fail("'{}' is neither a sha256 nor a git hash", hex);
}

void Digest::update(std::string_view bytes) {
  if (EVP_DigestUpdate(raw(context_.get()), bytes.data(), bytes.size()) != 1)
    fail("hashing failed in OpenSSL");
}

std::string Digest::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> value{};
  unsigned length = 0;
  if (EVP_DigestFinal_ex(raw(context_.get()), value.data(), &length) != 1) fail("hashing failed in OpenSSL");
  std::string text;
  for (unsigned i = 0; i < length; ++i) text += fmt::format("{:02x}", value[i]);
  return text;
}

bool is_hex(std::string_view text, size_t digits) {
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

void update_from_file(Digest& digest, const std::filesystem::path& path) {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), &std::fclose);
  if (!file) fail("cannot read {}", path.string());
  std::vector<char> buffer(1 << 20);
  while (size_t count = std::fread(buffer.data(), 1, buffer.size(), file.get()))
    digest.update({buffer.data(), count});
  if (std::ferror(file.get())) fail("cannot read {} to its end", path.string());
}

}  // namespace rose::hub
