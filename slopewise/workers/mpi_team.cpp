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
#include <utility>

#include "slopewise/base/interrupt.hpp"

namespace slopewise {
namespace {

using Clock = std::chrono::steady_clock;

// What a message is, in the last two bits of its first four bytes; in the others how many calls were before.
enum Message : std::uint32_t { kFound, kText, kEnd };
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

}  // namespace

struct MpiTeam::Sent {
  std::shared_ptr<const std::string> bytes;
  MPI_Request request;
};

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
      pass_on(end);
    } else if (rank_ > 0 && !ended_) {
      send(0, std::make_shared<const std::string>(end));
      failed_ = std::uncaught_exceptions() > 0;
      if (!failed_) pass_on(receive(parent_of(rank_)));
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

void MpiTeam::send(Index to, std::shared_ptr<const std::string> bytes) {
  if (bytes->size() > std::numeric_limits<int>::max()) {
    failed_ = true;
    throw TeamError(fmt::format("a message of {} bytes: expected at most {}, as MPI counts them", bytes->size(),
                                std::numeric_limits<int>::max()));
  }
  // A long one is not gone before the other takes it. Whoever does not take it is not waited for long here: where rank
  // 0 waits for an answer to it, it is named.
  Sent& sent = sent_.emplace_back(Sent{.bytes = std::move(bytes), .request = {}});
  MPI_Isend(sent.bytes->data(), static_cast<int>(sent.bytes->size()), MPI_BYTE, static_cast<int>(to), 0, MPI_COMM_WORLD,
            &sent.request);
}

void MpiTeam::let_go() {
  const auto gone = [](Sent& sent) {
    int done = 0;
    MPI_Test(&sent.request, &done, MPI_STATUS_IGNORE);
    return done != 0;
  };
  look_until(
      [&] {
        sent_.remove_if(gone);
        return sent_.empty();
      },
      [&](double waited) { return waited > patience_ / 2; });
}

bool MpiTeam::hurried() const {
  return !launched_ || interrupting_signal() != SIGINT;
}

// Looks at the mailbox until `there` says so, or until `enough` does of the seconds waited.
template <class There, class Enough>
void MpiTeam::look_until(const There& there, const Enough& enough) {
  Clock::time_point looked = Clock::now();
  double waited = 0;
  for (int looks = 0; !there(); ++looks) {
    waited += std::min(seconds(looked), kLook);
    looked = Clock::now();
    if (enough(waited)) return;
    if (looks < kEager) {
      ::sched_yield();
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
  }
}

std::string MpiTeam::receive(Index from) {
  std::optional<Clock::time_point> asked;
  const auto enough = [&](double waited) {
    if (rank_ > 0) return false;
    if (!asked && interrupted()) asked = Clock::now();
    if (waited <= patience_ && !(asked && hurried() && seconds(*asked) > kLastPatience)) return false;
    failed_ = true;
    throw RankLost(from, fmt::format("{} has not answered for {:.2g} s", names_[from], waited));
  };
  MPI_Status status;
  look_until(
      [&] {
        int there = 0;
        MPI_Iprobe(static_cast<int>(from), 0, MPI_COMM_WORLD, &there, &status);
        return there != 0;
      },
      enough);
  int size = 0;
  MPI_Get_count(&status, MPI_BYTE, &size);
  coming_.assign(static_cast<std::size_t>(size), '\0');
  MPI_Request request;
  MPI_Irecv(coming_.data(), size, MPI_BYTE, static_cast<int>(from), 0, MPI_COMM_WORLD, &request);
  look_until(
      [&] {
        int done = 0;
        MPI_Test(&request, &done, MPI_STATUS_IGNORE);
        return done != 0;
      },
      enough);
  return std::move(coming_);
}

Index MpiTeam::pass_on(std::string bytes) {
  const RankRange below = children_of(rank_, size_);
  const auto shared = std::make_shared<const std::string>(std::move(bytes));
  for (Index to = below.first; to < below.end; ++to) send(to, shared);
  let_go();
  return below.count() * static_cast<Index>(shared->size());
}

// Of rank 0, on the others.
std::string MpiTeam::receive_reply() {
  std::string found = receive(parent_of(rank_));
  const Index passed = pass_on(found);
  if (head_of(found) % kKinds == kEnd) {
    ended_ = true;
    throw TeamEnded();
  }
  if (head_of(found) % kKinds == kFound) traffic_.sent += passed;
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
    send(0, std::make_shared<const std::string>(message(kText, own.data(), own.size())));
    for (Index r = 0; r < size_; ++r) all.push_back(receive_reply().substr(kHead));
    return all;
  }
  all.push_back(own);
  for (Index from = 1; from < size_; ++from) all.push_back(receive_from(from, kText).substr(kHead));
  for (const std::string& text : all) pass_on(message(kText, text.data(), text.size()));
  return all;
}

std::string MpiTeam::settle(const std::string& own, const Make& make) {
  ++calls_;
  const auto taken = [&](const std::string& bytes) {
    traffic_.received += static_cast<Index>(bytes.size());
    return bytes.substr(kHead);
  };
  if (rank_ > 0) {
    const auto found = std::make_shared<const std::string>(message(kFound, own.data(), own.size()));
    traffic_.sent += static_cast<Index>(found->size());
    send(0, found);
    return taken(receive_reply());
  }
  std::vector<std::string> all{own};
  for (Index from = 1; from < size_; ++from) all.push_back(taken(receive_from(from, kFound)));
  owing_ = true;
  const std::string made = make(all);
  traffic_.sent += pass_on(message(kFound, made.data(), made.size()));
  owing_ = false;
  return made;
}

}  // namespace slopewise
