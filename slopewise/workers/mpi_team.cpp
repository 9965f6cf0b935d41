#include "slopewise/workers/mpi_team.hpp"

#include <fmt/format.h>
#include <mpi.h>
#include <sched.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <limits>
#include <optional>
#include <thread>

#include "slopewise/base/interrupt.hpp"

namespace slopewise {
namespace {

using Clock = std::chrono::steady_clock;

// What a message is, in the last two bits of its first four bytes; in the others how many calls were before.
enum Message : std::uint32_t { kNumbers, kText, kEnd };
constexpr std::uint32_t kKinds = 4;
constexpr std::size_t kHead = kMessageHead;
// Seconds that a rank is waited for once a signal has asked to end: mpirun, which sends SIGTERM when a rank dies, gives
// one. Ctrl-C that a launcher passes on to rank 0 alone is no reason to hurry.
constexpr double kLastPatience = 0.3;
// Looks at the mailbox before this process sleeps in between.
constexpr int kEager = 2000;
// Seconds between two looks that count at most: a process that is stopped does not look, and nobody is lost meanwhile.
constexpr double kLook = 0.1;

double seconds(Clock::time_point since) {
  return std::chrono::duration<double>(Clock::now() - since).count();
}

std::uint32_t head_of(const std::string& bytes) {
  std::uint32_t head = 0;
  std::memcpy(&head, bytes.data(), std::min(kHead, bytes.size()));
  return head;
}

// What follows a message's head.
template <class T>
std::vector<T> numbers_of(const std::string& bytes) {
  std::vector<T> numbers((bytes.size() - kHead) / sizeof(T));
  if (!numbers.empty()) std::memcpy(numbers.data(), bytes.data() + kHead, numbers.size() * sizeof(T));
  return numbers;
}

}  // namespace

Index MpiTeam::started() {
  const char* size = std::getenv("OMPI_COMM_WORLD_SIZE");
  Index count = 0;
  if (size) std::from_chars(size, size + std::strlen(size), count);
  return count;
}

MpiTeam::MpiTeam(double patience, bool launched) : patience_(patience), launched_(launched) {
  int provided = 0, rank = 0, size = 1;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  rank_ = rank;
  size_ = size;
  names_.resize(static_cast<std::size_t>(size_));
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  for (std::size_t r = 0; r < names_.size(); ++r) names_[r] = fmt::format("rank {}", r);
  names_ = gather(fmt::format("rank {} (process {} on {})", rank_, ::getpid(), host));
}

// Whoever is not rank 0 sends a message before each that it waits for, so that one of each is on its way to rank 0 when
// that ends.
MpiTeam::~MpiTeam() {
  try {
    const std::string end = message(kEnd, nullptr, 0);
    if (rank_ == 0 && !failed_) {
      for (Index from = 1; from < size_ && !owing_; ++from) receive(from);
      for (Index to = 1; to < size_; ++to) send(to, end);
    } else if (rank_ > 0 && !ended_) {
      send(0, end);
      failed_ = std::uncaught_exceptions() > 0;
      if (!failed_) receive(0);
    }
  } catch (const TeamError&) {  // failed_
  }
  // Without MPI_Finalize mpirun takes the end of this process for a failure, and ends the others.
  if (!failed_) MPI_Finalize();
}

std::string MpiTeam::message(std::uint32_t kind, const void* bytes, std::size_t size) const {
  const std::uint32_t head = calls_ * kKinds + kind;
  std::string text(kHead + size, '\0');
  std::memcpy(text.data(), &head, kHead);
  if (size > 0) std::memcpy(text.data() + kHead, bytes, size);
  return text;
}

void MpiTeam::send(Index to, const std::string& bytes) {
  if (bytes.size() > std::numeric_limits<int>::max()) {
    failed_ = true;
    throw TeamError(fmt::format("a message of {} bytes: expected at most {}, as MPI counts them", bytes.size(),
                                std::numeric_limits<int>::max()));
  }
  MPI_Send(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, static_cast<int>(to), 0, MPI_COMM_WORLD);
}

bool MpiTeam::hurried() const {
  return !launched_ || interrupting_signal() != SIGINT;
}

std::string MpiTeam::receive(Index from) {
  Clock::time_point looked = Clock::now();
  std::optional<Clock::time_point> asked;
  double waited = 0;
  for (int looks = 0;; ++looks) {
    int there = 0;
    MPI_Status status;
    MPI_Iprobe(static_cast<int>(from), 0, MPI_COMM_WORLD, &there, &status);
    if (there) {
      int size = 0;
      MPI_Get_count(&status, MPI_BYTE, &size);
      std::string bytes(static_cast<std::size_t>(size), '\0');
      MPI_Recv(bytes.data(), size, MPI_BYTE, static_cast<int>(from), 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      return bytes;
    }
    if (rank_ == 0) {
      waited += std::min(seconds(looked), kLook);
      looked = Clock::now();
      if (!asked && interrupted()) asked = looked;
      if (waited > patience_ || (asked && hurried() && seconds(*asked) > kLastPatience)) {
        failed_ = true;
        throw RankLost(from, fmt::format("{} has not answered for {:.2g} s", names_[from], waited));
      }
    }
    if (looks < kEager) {
      ::sched_yield();
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
  }
}

// Of rank 0, on the others.
std::string MpiTeam::receive_reply() {
  std::string found = receive(0);
  if (head_of(found) % kKinds == kEnd) {
    ended_ = true;
    throw TeamEnded();
  }
  return found;
}

// Of another rank, on rank 0.
std::string MpiTeam::receive_from(Index from, std::uint32_t kind) {
  std::string found = receive(from);
  if (found.size() >= kHead && head_of(found) == head_of(message(kind, nullptr, 0))) return found;
  failed_ = true;
  throw RankLost(from, fmt::format("{} has ended, or is at another step", names_[from]));
}

std::vector<std::string> MpiTeam::gather(const std::string& own) {
  ++calls_;
  std::vector<std::string> all;
  if (rank_ > 0) {
    send(0, message(kText, own.data(), own.size()));
    for (Index r = 0; r < size_; ++r) all.push_back(receive_reply().substr(kHead));
    return all;
  }
  all.push_back(own);
  for (Index from = 1; from < size_; ++from) all.push_back(receive_from(from, kText).substr(kHead));
  for (Index to = 1; to < size_; ++to) {
    for (const std::string& text : all) send(to, message(kText, text.data(), text.size()));
  }
  return all;
}

std::vector<float> MpiTeam::settle(const std::vector<double>& own, const Make& make) {
  ++calls_;
  const auto pass = [&](Index to, const std::string& bytes) {
    send(to, bytes);
    traffic_.sent += static_cast<Index>(bytes.size());
  };
  const auto taken = [&](std::string bytes) {
    traffic_.received += static_cast<Index>(bytes.size());
    return bytes;
  };
  if (rank_ > 0) {
    pass(0, message(kNumbers, own.data(), own.size() * sizeof(double)));
    return numbers_of<float>(taken(receive_reply()));
  }
  std::vector<std::vector<double>> all{own};
  for (Index from = 1; from < size_; ++from) all.push_back(numbers_of<double>(taken(receive_from(from, kNumbers))));
  owing_ = true;
  const std::vector<float> made = make(all);
  const std::string reply = message(kNumbers, made.data(), made.size() * sizeof(float));
  for (Index to = 1; to < size_; ++to) pass(to, reply);
  owing_ = false;
  return made;
}

}  // namespace slopewise
