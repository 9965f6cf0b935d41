// Runs the tests of a room. With SLOPEWISE_ONLY_IF_NARROWER they are skipped where DNNL_MAX_CPU_ISA changes nothing:
// where the processor lacks the level that it names, and where that is the processor's own, at which every test runs
// anyway.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <string_view>

#include "slopewise/tensor/instruction_set.hpp"

namespace slopewise {
namespace {

constexpr int kSkipped = 77;  // as tests/CMakeLists.txt tells ctest

InstructionSet of_processor() {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("amx-bf16")) return InstructionSet::kAmx;
  if (__builtin_cpu_supports("avx512bf16")) return InstructionSet::kAvx512Bf16;
  return __builtin_cpu_supports("x86-64-v4") ? InstructionSet::kAvx512 : InstructionSet::kAvx2;
}

// Why a level is not worth a run; empty if it is.
std::string_view reason_to_skip(std::string_view level) {
  if (instruction_set_name(instruction_set()) != level) return "the processor does not have it";
  return instruction_set_name(of_processor()) == level ? "it is the processor's own" : "";
}

}  // namespace
}  // namespace slopewise

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const char* level = std::getenv("DNNL_MAX_CPU_ISA");
  if (level && std::getenv("SLOPEWISE_ONLY_IF_NARROWER")) {
    if (const std::string_view reason = slopewise::reason_to_skip(level); !reason.empty()) {
      std::cout << "DNNL_MAX_CPU_ISA=" << level << " is skipped: " << reason << '\n';
      return slopewise::kSkipped;
    }
  }
  return RUN_ALL_TESTS();
}
