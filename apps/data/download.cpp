#include "apps/data/download.hpp"

#include <curl/curl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <memory>
#include <string_view>

#include "slopewise/base/atomic_file.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/input_file.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/version.hpp"

namespace slopewise {
namespace {

constexpr const char* kDoing = "downloading; what has come is kept, and the next fetch goes on from there";
constexpr int kAttempts = 5;          // at one mirror, each of which brought something
constexpr long kConnectSeconds = 30;  // to wait for a connection
// To wait while fewer bytes than so many come in a second: a server that sends one now and then has no end.
constexpr long kSlowSeconds = 60, kSlowBytes = 1024;
constexpr long kMostRedirections = 10;
constexpr long kPartialContent = 206, kRangeNotSatisfiable = 416;
constexpr std::size_t kBufferBytes = std::size_t{1} << 16;

// The file while it grows, and the progress of that. One process at a time has it.
class Part {
 public:
  Part(std::filesystem::path path, Progress& progress) : path_(std::move(path)), progress_(progress) {
    descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (descriptor_ < 0) fail("open");
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      // Where a file system has no locks, it is done without, as with run directories.
      ::close(descriptor_);
      throw FileError(path_.string() + ": another process is downloading this file");
    }
    size_ = ::lseek(descriptor_, 0, SEEK_END);
    progress_.advance(static_cast<double>(size_));
  }
  ~Part() { ::close(descriptor_); }
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::int64_t size() const { return size_; }

  void append(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail("write");
      size_ += written;
      progress_.advance(static_cast<double>(written));
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  void clear() {
    if (::ftruncate(descriptor_, 0) != 0) fail("empty");
    progress_.advance(-static_cast<double>(size_));
    size_ = 0;
  }

 private:
  [[noreturn]] void fail(const char* action) const {
    throw FileError(fmt::format("{}: cannot {}: {}", path_.string(), action, std::strerror(errno)));
  }

  std::filesystem::path path_;
  Progress& progress_;
  int descriptor_;
  std::int64_t size_ = 0;
};

// One request for what a part lacks.
class Request {
 public:
  Request(const std::string& url, const RemoteFile& file, Part& part)
      : file_(file), part_(part), handle_(curl_easy_init()) {
    if (handle_ == nullptr) throw Error("cannot start libcurl");
    set(CURLOPT_URL, url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    set(CURLOPT_FOLLOWLOCATION, 1L);
    set(CURLOPT_MAXREDIRS, kMostRedirections);
    set(CURLOPT_FAILONERROR, 1L);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
    set(CURLOPT_LOW_SPEED_LIMIT, kSlowBytes);
    set(CURLOPT_LOW_SPEED_TIME, kSlowSeconds);
    set(CURLOPT_USERAGENT, fmt::format("slopewise/{}", version()).c_str());
    set(CURLOPT_ERRORBUFFER, message_);
    set(CURLOPT_WRITEFUNCTION, &Request::receive);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, &Request::stop_if_interrupted);
    // Not CURLOPT_RESUME_FROM, which gives up where a server sends the whole instead.
    if (part_.size() > 0) set(CURLOPT_RANGE, fmt::format("{}-", part_.size()).c_str());
  }

  // Returns what went wrong, or nothing. Throws what the part does, and Interrupted.
  std::string perform() {
    const CURLcode result = curl_easy_perform(handle_.get());
    if (failure_) std::rethrow_exception(failure_);
    check_interrupted(kDoing);
    if (result == CURLE_OK) return "";
    // The part may be whole already; its hash will tell.
    if (result == CURLE_HTTP_RETURNED_ERROR && status() == kRangeNotSatisfiable) return "";
    if (result == CURLE_HTTP_RETURNED_ERROR) return fmt::format("HTTP status {}", status());
    if (too_long_) return fmt::format("more than the expected {} bytes came", most());
    return message_[0] != '\0' ? message_ : curl_easy_strerror(result);
  }

 private:
  template <class Value>
  void set(CURLoption option, Value value) {
    if (const CURLcode result = curl_easy_setopt(handle_.get(), option, value); result != CURLE_OK) {
      throw Error(fmt::format("libcurl {} refuses option {}: {}", curl_version(), static_cast<int>(option),
                              curl_easy_strerror(result)));
    }
  }
  std::int64_t most() const { return file_.bytes > 0 ? file_.bytes : file_.most; }
  long status() const {
    long code = 0;
    curl_easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &code);
    return code;
  }

  // Libcurl's callbacks: anything but `count` and 0 ends the request. Exceptions must not pass through C.
  static std::size_t receive(char* bytes, std::size_t, std::size_t count, void* self) {
    return static_cast<Request*>(self)->take({bytes, count}) ? count : CURL_WRITEFUNC_ERROR;
  }
  static int stop_if_interrupted(void*, curl_off_t, curl_off_t, curl_off_t, curl_off_t) { return interrupted(); }

  bool take(std::string_view bytes) try {
    if (!started_ && status() != kPartialContent) part_.clear();  // all of it comes, whatever was asked for
    started_ = true;
    too_long_ = part_.size() + static_cast<std::int64_t>(bytes.size()) > most();
    if (too_long_) {
      part_.clear();
      return false;
    }
    part_.append(bytes);
    return true;
  } catch (...) {
    failure_ = std::current_exception();
    return false;
  }

  struct Cleanup {
    void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
  };
  const RemoteFile& file_;
  Part& part_;
  std::unique_ptr<CURL, Cleanup> handle_;
  char message_[CURL_ERROR_SIZE] = {};
  std::exception_ptr failure_;
  bool started_ = false;  // the body has begun to arrive
  bool too_long_ = false;
};

}  // namespace

std::string sha256_of(const std::filesystem::path& path) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  bool good = context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1;
  const InputFile file(path);
  std::vector<std::uint8_t> buffer(kBufferBytes);
  for (std::uint64_t at = 0; at < file.size(); at += buffer.size()) {
    check_interrupted(kDoing);
    buffer.resize(std::min<std::uint64_t>(buffer.size(), file.size() - at));
    file.read(at, buffer);
    good = good && EVP_DigestUpdate(context.get(), buffer.data(), buffer.size()) == 1;
  }
  std::uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (!good || EVP_DigestFinal_ex(context.get(), digest, &size) != 1) throw Error("libcrypto cannot compute SHA-256");
  std::string digits;
  for (unsigned i = 0; i < size; ++i) digits += fmt::format("{:02x}", digest[i]);
  return digits;
}

std::string download(const RemoteFile& file, const std::vector<std::string>& mirrors,
                     const std::filesystem::path& directory, Progress& progress) {
  const std::filesystem::path whole = directory / file.name;
  Part part(whole.string() + ".part", progress);
  std::string problems;
  for (const std::string& mirror : mirrors) {
    const std::string url = mirror + file.name;
    for (int attempt = 1;; ++attempt) {
      const std::int64_t had = part.size();
      std::string problem = Request(url, file, part).perform();
      bool again = part.size() > had;  // a connection that was cut
      if (problem.empty()) {
        const std::string found = sha256_of(part.path());
        if (found == file.sha256) {
          rename_durably(part.path(), whole);
          return url;
        }
        problem = fmt::format("SHA-256 is {}, expected {}", found, file.sha256);
        again = had > 0;  // what was there before may have been of something else
        part.clear();
      }
      if (again && attempt < kAttempts) continue;
      problems += fmt::format("\n  {}: {}", url, problem);
      break;
    }
  }
  std::string kept;
  if (part.size() > 0) {
    kept = fmt::format("\n{} bytes are kept in {}, and the next fetch goes on from there", part.size(),
                       part.path().string());
  } else {
    std::filesystem::remove(part.path());
  }
  throw FileError(fmt::format("{}: cannot be downloaded{}{}", whole.string(), problems, kept));
}

}  // namespace slopewise
