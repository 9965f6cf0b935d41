#include "slopewise/workers/mpi_team.hpp"

#include <fmt/format.h>
#include <mpi.h>
#include <sched.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <optional>
#include <thread>

#include "slopewise/base/interrupt.hpp"

namespace slopewise {
namespace {

using Clock = std::chrono::steady_clock;

// What a message is, in its first four bytes; in the next four its number.
enum Word : std::uint32_t { kNumbers, kText, kEnd };
constexpr std::size_t kHead = 8;
// Seconds that a rank is waited for once a signal has asked to end: mpirun, which sends one when a rank dies, gives
// one.
constexpr double kLastPatience = 0.3;
// Looks at the mailbox before this process sleeps in between.
constexpr int kEager = 2000;

double seconds(Clock::time_point since) {
  return std::chrono::duration<double>(Clock::now() - since).count();
}

std::string message(Word word, std::uint32_t number, const void* bytes, std::size_t size) {
  std::string text(kHead + size, '\0');
  std::memcpy(text.data(), &word, 4);
  std::memcpy(text.data() + 4, &number, 4);
  if (size > 0) std::memcpy(text.data() + kHead, bytes, size);
  return text;
}

std::uint32_t word_of(const std::string& bytes, std::size_t at) {
  std::uint32_t word = 0;
  std::memcpy(&word, bytes.data() + at, 4);
  return word;
}

std::vector<double> numbers_of(const std::string& bytes, std::size_t from, std::size_t count) {
  std::vector<double> numbers(count);
  if (count > 0) std::memcpy(numbers.data(), bytes.data() + from, count * sizeof(double));
  return numbers;
}

}  // namespace

Index MpiTeam::started() {
  const char* size = std::getenv("OMPI_COMM_WORLD_SIZE");
  Index count = 1;
  if (size) std::from_chars(size, size + std::strlen(size), count);
  return count;
}

MpiTeam::MpiTeam(double patience) : patience_(patience) {
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
    const std::string end = message(kEnd, 0, nullptr, 0);
    if (rank_ == 0 && !failed_) {
      for (Index from = 1; from < size_; ++from) receive(from);
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

void MpiTeam::send(Index to, const std::string& bytes) {
  MPI_Send(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, static_cast<int>(to), 0, MPI_COMM_WORLD);
}

std::string MpiTeam::receive(Index from) {
  const Clock::time_point start = Clock::now();
  std::optional<Clock::time_point> asked;
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
      if (!asked && interrupted()) asked = Clock::now();
      if (seconds(start) > patience_ || (asked && seconds(*asked) > kLastPatience)) {
        failed_ = true;
        throw TeamError(
            fmt::format("{} has not answered for {:.2g} s", names_[static_cast<std::size_t>(from)], seconds(start)));
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
  if (word_of(found, 0) == kEnd) {
    ended_ = true;
    throw TeamEnded();
  }
  return found;
}

// Of another rank, on rank 0.
std::string MpiTeam::receive_from(Index from, std::uint32_t word) {
  std::string found = receive(from);
  if (word_of(found, 0) == word && word_of(found, 4) == calls_) return found;
  failed_ = true;
  throw TeamError(fmt::format("{} has ended, or is at another step", names_[static_cast<std::size_t>(from)]));
}

std::vector<std::string> MpiTeam::gather(const std::string& own) {
  ++calls_;
  std::vector<std::string> all;
  if (rank_ > 0) {
    send(0, message(kText, calls_, own.data(), own.size()));
    for (Index r = 0; r < size_; ++r) all.push_back(receive_reply().substr(kHead));
    return all;
  }
  all.push_back(own);
  for (Index from = 1; from < size_; ++from) all.push_back(receive_from(from, kText).substr(kHead));
  for (Index to = 1; to < size_; ++to) {
    for (const std::string& text : all) send(to, message(kText, calls_, text.data(), text.size()));
  }
  return all;
}

std::vector<std::vector<double>> MpiTeam::share(const std::vector<double>& own) {
  ++calls_;
  std::vector<std::vector<double>> all;
  if (rank_ > 0) {
    const std::string sent = message(kNumbers, calls_, own.data(), own.size() * sizeof(double));
    send(0, sent);
    const std::string found = receive_reply();
    traffic_.sent += static_cast<Index>(sent.size());
    traffic_.received += static_cast<Index>(found.size());
    std::size_t at = kHead;
    for (Index r = 0; r < size_; ++r) {
      const std::uint32_t count = word_of(found, at);
      all.push_back(numbers_of(found, at + 4, count));
      at += 4 + count * sizeof(double);
    }
    return all;
  }
  all.push_back(own);
  for (Index from = 1; from < size_; ++from) {
    const std::string found = receive_from(from, kNumbers);
    traffic_.received += static_cast<Index>(found.size());
    all.push_back(numbers_of(found, kHead, (found.size() - kHead) / sizeof(double)));
  }
  std::string reply = message(kNumbers, calls_, nullptr, 0);
  for (const std::vector<double>& numbers : all) {
    const auto count = static_cast<std::uint32_t>(numbers.size());
    reply.append(reinterpret_cast<const char*>(&count), sizeof count);
    reply.append(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(double));
  }
  for (Index to = 1; to < size_; ++to) {
    send(to, reply);
    traffic_.sent += static_cast<Index>(reply.size());
  }
  return all;
}

}  // namespace slopewise
