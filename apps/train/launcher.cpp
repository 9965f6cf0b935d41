#include "apps/train/launcher.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <vector>

#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/tensor/machine.hpp"

namespace slopewise {
namespace {

using Words = std::vector<std::string>;
using Clock = std::chrono::steady_clock;

// In the environment of ranks: the launcher's socket, a name of Linux's that is no file's.
constexpr const char* kSocket = "SLOPEWISE_LAUNCHER";
// What a message is about, its first byte; then its text.
constexpr char kRank = 'r', kBegun = 'b', kLost = 'l';
constexpr std::size_t kLongest = 1 << 15;
// Milliseconds between looks at mpirun and at signals.
constexpr int kLook = 50;

volatile std::sig_atomic_t suspended = 0;

int open_socket() {
  return ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
}

std::pair<sockaddr_un, socklen_t> address_of(const std::string& name) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  return {address, static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size())};
}

Index number_of(std::string_view text) {
  Index number = -1;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// By a signal, as SIGSTOP.
bool is_stopped(pid_t process) {
  std::ifstream file(fmt::format("/proc/{}/stat", process));
  std::string text;
  std::getline(file, text);
  const std::size_t name_ends = text.rfind(')');
  return name_ends != std::string::npos && name_ends + 2 < text.size() && text[name_ends + 2] == 'T';
}

// Each rank would pin its threads from the first core on. OpenMP has pinned this process there, which ranks inherit.
void unpin() {
  ::unsetenv("OMP_PROC_BIND");
  ::unsetenv("OMP_PLACES");
  const cpu_set_t all = usable_cpus();
  ::sched_setaffinity(0, sizeof all, &all);
}

// This process's, without the program's name.
Words command() {
  std::ifstream own("/proc/self/cmdline", std::ios::binary);
  Words words;
  std::string word;
  std::getline(own, word, '\0');
  while (std::getline(own, word, '\0')) words.push_back(word);
  return words;
}

// That goes on with a run, and keeps what may be said anew of one.
Words resuming(const Settings& settings, const std::string& directory, Index ranks) {
  Words words{"train", "--resume", directory, "--workers", std::to_string(ranks)};
  for (const Setting& setting : settings.all()) {
    if (!setting.given || !setting.traits.resumable || setting.name == "resume" || setting.name == "workers" ||
        setting.name == "elastic")
      continue;
    if (!setting.is_flag()) {
      words.insert(words.end(), {"--" + setting.name, to_words(setting.read())});
    } else if (setting.read() == true) {
      words.push_back("--" + setting.name);
    }
  }
  return words;
}

// The ranks of one start, and how it ended.
class Ranks {
 public:
  // `patience`: seconds after which rank 0, which looks after the others, counts as lost where it is stopped.
  explicit Ranks(double patience);
  ~Ranks();
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  // mpirun's exit code, once it has ended and no rank is left.
  int run(Index count, const Words& words);
  // The rank that was lost, as a sentence; empty: none was. Of ranks that nobody has asked to end.
  std::string lost() const;
  // Whether rank 0 could not end the run as one ends by itself: another was lost, or it was stopped for too long.
  bool ended_badly() const { return hung_ || told_; }
  // Where rank 0's run is, once that can go on; empty: it has not begun.
  const std::string& directory() const { return directory_; }

 private:
  struct Rank {
    int socket;
    pid_t process;
  };
  void start(Index count, const Words& words);
  void pass_on_signals();
  void watch_rank_zero();
  void listen(int milliseconds);
  void accept_one();
  // False once the rank has ended.
  bool hear(Index number, const Rank& rank);

  double patience_;
  int listener_;
  pid_t mpirun_ = -1;
  bool asked_ = false;  // to end
  int code_ = 0;
  bool killed_ = false;                           // mpirun, by a signal
  std::map<Index, Rank, std::greater<>> ranks_;   // rank 0, which ends when others do, last
  std::optional<std::pair<Index, pid_t>> first_;  // to end
  std::optional<Index> told_;                     // to be lost
  std::optional<Clock::time_point> stopped_;      // rank 0, since then
  bool hung_ = false;                             // it was so for too long
  std::string directory_;
};

Ranks::Ranks(double patience) : patience_(patience), listener_(open_socket()) {
  const std::string name = fmt::format("slopewise-{}", ::getpid());
  const auto [address, size] = address_of(name);
  if (listener_ < 0 || ::bind(listener_, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::listen(listener_, SOMAXCONN) != 0)
    throw Error(fmt::format("--workers: cannot listen to ranks: {}", std::strerror(errno)));
  ::setenv(kSocket, name.c_str(), 1);
}

Ranks::~Ranks() {
  for (const auto& [number, rank] : ranks_) ::close(rank.socket);
  ::close(listener_);
}

void Ranks::start(Index count, const Words& words) {
  // Ranks on this machine may be more than its cores.
  Words all{"mpirun",
            "--quiet",
            "-n",
            std::to_string(count),
            "--oversubscribe",
            "--bind-to",
            "none",
            "-x",
            kSocket,
            std::filesystem::read_symlink("/proc/self/exe").string()};
  all.insert(all.end(), words.begin(), words.end());
  std::vector<char*> arguments;
  for (std::string& word : all) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  int failure[2];  // of execvp
  if (::pipe2(failure, O_CLOEXEC) != 0) throw Error(fmt::format("--workers: {}", std::strerror(errno)));
  const pid_t launcher = ::getpid();
  mpirun_ = ::fork();
  if (mpirun_ == 0) {
    // The terminal's signals are for the launcher, and so is what is typed there.
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (const int nothing = ::open("/dev/null", O_RDONLY); nothing >= 0) ::dup2(nothing, 0);
    if (::getppid() == launcher) ::execvp(arguments[0], arguments.data());
    const int reason = errno;
    [[maybe_unused]] const ssize_t told = ::write(failure[1], &reason, sizeof reason);
    ::_exit(127);
  }
  ::close(failure[1]);
  int reason = mpirun_ < 0 ? errno : 0;
  if (mpirun_ > 0 && ::read(failure[0], &reason, sizeof reason) > 0) ::waitpid(mpirun_, nullptr, 0);
  ::close(failure[0]);
  if (reason != 0)
    throw Error(fmt::format("--workers: cannot start mpirun (Debian: openmpi-bin): {}", std::strerror(reason)));
}

int Ranks::run(Index count, const Words& words) {
  start(count, words);
  int status = 0;
  while (::waitpid(mpirun_, &status, WNOHANG) == 0) {
    pass_on_signals();
    watch_rank_zero();
    listen(kLook);
  }
  // What has outlived it would hold the run's directory.
  for (const auto& [number, rank] : ranks_) ::kill(rank.process, SIGKILL);
  while (!ranks_.empty()) listen(kLook);
  killed_ = WIFSIGNALED(status);
  code_ = killed_ ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return code_;
}

void Ranks::pass_on_signals() {
  if (interrupted() && !asked_) {
    asked_ = true;
    const auto zero = ranks_.find(0);
    if (zero == ranks_.end()) {
      ::kill(mpirun_, SIGTERM);
    } else {
      ::kill(zero->second.process, interrupting_signal());
    }
  }
  if (!suspended) return;
  suspended = 0;
  ::kill(mpirun_, SIGTSTP);
  ::raise(SIGSTOP);
  ::kill(mpirun_, SIGCONT);
}

void Ranks::watch_rank_zero() {
  const auto zero = ranks_.find(0);
  if (zero == ranks_.end() || !is_stopped(zero->second.process)) return stopped_.reset();
  if (!stopped_) stopped_ = Clock::now();
  if (hung_ || std::chrono::duration<double>(Clock::now() - *stopped_).count() < patience_) return;
  hung_ = true;
  ::kill(zero->second.process, SIGKILL);
}

void Ranks::listen(int milliseconds) {
  std::vector<pollfd> watched;
  std::vector<Index> numbers;
  for (const auto& [number, rank] : ranks_) {
    watched.push_back({.fd = rank.socket, .events = POLLIN, .revents = 0});
    numbers.push_back(number);
  }
  watched.push_back({.fd = listener_, .events = POLLIN, .revents = 0});
  if (::poll(watched.data(), watched.size(), milliseconds) <= 0) return;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (watched[i].revents == 0) continue;
    const auto found = ranks_.find(numbers[i]);
    if (hear(numbers[i], found->second)) continue;
    if (!first_) first_ = {found->first, found->second.process};
    ::close(found->second.socket);
    ranks_.erase(found);
  }
  if (watched.back().revents != 0) accept_one();
}

void Ranks::accept_one() {
  const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (socket < 0) return;
  ucred peer = {};
  socklen_t size = sizeof peer;
  Index number = -1;
  // A rank that is stopped right here keeps nobody waiting.
  const timeval patience = {.tv_sec = 1, .tv_usec = 0};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == ::geteuid()) {
    char text[kLongest];
    const ssize_t length = ::recv(socket, text, sizeof text, 0);
    if (length > 1 && text[0] == kRank) number = number_of({text + 1, static_cast<std::size_t>(length - 1)});
  }
  if (number < 0 || !ranks_.try_emplace(number, Rank{.socket = socket, .process = peer.pid}).second) ::close(socket);
}

bool Ranks::hear(Index number, const Rank& rank) {
  char text[kLongest];
  const ssize_t length = ::recv(rank.socket, text, sizeof text, 0);
  if (length <= 0) return length < 0 && errno == EINTR;
  const std::string said(text + 1, static_cast<std::size_t>(length - 1));
  if (text[0] == kBegun && number == 0) directory_ = said;
  if (text[0] == kLost && !told_) told_ = number_of(said);
  return true;
}

std::string Ranks::lost() const {
  if (hung_) return fmt::format("rank 0 has been stopped for {:.2g} s", patience_);
  // mpirun ends so where a signal has ended a rank; rank 0 may then have missed others too.
  if (code_ > 128 && first_ && !killed_)
    return fmt::format("rank {} (process {}) was ended by signal {}", first_->first, first_->second, code_ - 128);
  if (code_ > 128) return fmt::format("{} was ended by signal {}", killed_ ? "mpirun" : "a rank", code_ - 128);
  return told_ ? fmt::format("rank {} is lost", *told_) : "";
}

}  // namespace

int launch_workers(const TrainOptions& options, const Settings& settings) {
  unpin();
  if (::geteuid() == 0) {  // mpirun asks the superuser twice
    ::setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 0);
    ::setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 0);
  }
  struct sigaction action = {};
  action.sa_handler = [](int) { suspended = 1; };
  ::sigaction(SIGTSTP, &action, nullptr);
  std::signal(SIGCHLD, SIG_DFL);  // where a parent had it ignored, nobody would learn how mpirun ended
  Words words = command();
  std::string directory = options.resume;  // of the run, once it has begun
  for (Index count = options.workers;; --count) {
    Ranks ranks(options.rank_timeout);
    const int code = ranks.run(count, words);
    if (!ranks.directory().empty()) directory = ranks.directory();
    if (interrupted()) {
      if (code == 0) return code;  // it had come to its end
      if (directory.empty()) throw Interrupted("interrupted before the first step");
      // Rank 0 has said how, where it was there and has lost nobody.
      if (ranks.directory().empty() || ranks.ended_badly())
        throw Interrupted(fmt::format("interrupted; to go on: slopewise train --resume {}", directory));
      return 128 + interrupting_signal();
    }
    const std::string lost = ranks.lost();
    if (lost.empty()) return code;
    if (directory.empty()) throw Error(fmt::format("{} before the first step", lost));
    if (!options.elastic || count == 1)
      throw Error(fmt::format("{}; to go on: slopewise train --resume {}", lost, directory));
    std::cerr << fmt::format("slopewise: {}; the run goes on with {}\n", lost,
                             count == 2 ? "1 rank" : fmt::format("{} ranks", count - 1));
    words = resuming(settings, directory, count - 1);
  }
}

bool LauncherLink::exists() {
  return std::getenv(kSocket) != nullptr;
}

LauncherLink::LauncherLink() {
  const char* name = std::getenv(kSocket);
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
  if (!name || !rank || std::strlen(name) + 1 > sizeof(sockaddr_un::sun_path)) return;
  socket_ = open_socket();
  const auto [address, size] = address_of(name);
  if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), size) == 0) {
    say(kRank, rank);
  } else {
    ::close(std::exchange(socket_, -1));
  }
}

LauncherLink::~LauncherLink() {
  if (socket_ >= 0) ::close(socket_);
}

void LauncherLink::begun(const std::filesystem::path& directory) const {
  say(kBegun, directory.string());
}

void LauncherLink::lost(Index rank) const {
  say(kLost, std::to_string(rank));
}

void LauncherLink::say(char what, const std::string& text) const {
  if (socket_ >= 0) ::send(socket_, (what + text).data(), text.size() + 1, MSG_NOSIGNAL);
}

}  // namespace slopewise
