// A team of the ranks that mpirun started, on one machine or several.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "slopewise/objective/team.hpp"

namespace slopewise {

// Rank 0 has ended the run; the others have nothing more to do.
class TeamEnded : public TeamError {
 public:
  TeamEnded() : TeamError("rank 0 has ended the run") {}
};

// Every rank sends what it has found to rank 0, each in one message, and what rank 0 makes of it goes down the tree of
// children_of. Rank 0 waits for the others as long as its patience lasts, and then throws RankLost with the name of
// one; the others wait for what it says. Whoever does not pass that on keeps those below from their next message, but
// rank 0 waits for it first, as its number is the lowest, and names it.
class MpiTeam final : public Team {
 public:
  // Ranks that mpirun started this process among; 0 where it did not.
  static Index started();

  // Joins them. `patience`: seconds. `launched`: by a program that sends SIGINT to rank 0 alone. One team a process.
  explicit MpiTeam(double patience, bool launched = false);
  // Tells the others, from rank 0, that the run has ended. Where a rank did not answer, or another than rank 0 fails by
  // itself, mpirun ends the others.
  ~MpiTeam() override;
  MpiTeam(const MpiTeam&) = delete;
  MpiTeam& operator=(const MpiTeam&) = delete;

  Index rank() const override { return rank_; }
  Index size() const override { return size_; }
  // Both throw TeamEnded, but on rank 0, once that has ended.
  std::string settle(const std::string& own, const Make& make) override;
  std::vector<std::string> gather(const std::string& own) override;
  Traffic traffic() const override { return traffic_; }

 private:
  // Whether what has asked to end gives this process little time.
  bool hurried() const;
  template <class There, class Enough>
  void look_until(const There& there, const Enough& enough);
  std::string receive(Index from);
  void send(Index to, std::shared_ptr<const std::string> bytes);
  // Waits a while for what was sent to be taken.
  void let_go();
  // Sends a message to those that hear from this rank; returns the bytes.
  Index pass_on(std::string bytes);
  std::string receive_reply();
  std::string receive_from(Index from, std::uint32_t kind);
  std::string message(std::uint32_t kind, const void* bytes, std::size_t size) const;

  // What may not have been taken yet.
  struct Sent;

  double patience_;
  bool launched_;
  Index rank_ = 0, size_ = 1;
  std::list<Sent> sent_;
  std::string coming_;
  std::vector<std::string> names_;  // "rank 2 (process 1234 on host)"
  Traffic traffic_;
  std::uint32_t calls_ = 0;  // of settle() and gather(), the same on every rank
  bool failed_ = false, ended_ = false;
  bool owing_ = false;  // rank 0: the others wait for its reply
};

}  // namespace slopewise
