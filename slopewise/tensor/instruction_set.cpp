#include "slopewise/tensor/instruction_set.hpp"

#include <oneapi/dnnl/dnnl.hpp>

namespace slopewise {

// oneDNN numbers them so that each has the bits of those it includes; later versions know more of them.
InstructionSet instruction_set() {
  const auto used = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  const auto has = [used](dnnl::cpu_isa set) {
    return (used & static_cast<unsigned>(set)) == static_cast<unsigned>(set);
  };
  if (has(dnnl::cpu_isa::avx512_core_amx)) return InstructionSet::kAmx;
  if (has(dnnl::cpu_isa::avx512_core_bf16)) return InstructionSet::kAvx512Bf16;
  return has(dnnl::cpu_isa::avx512_core) ? InstructionSet::kAvx512 : InstructionSet::kAvx2;
}

std::string_view instruction_set_name(InstructionSet set) {
  switch (set) {
    case InstructionSet::kAvx512:
      return "AVX512_CORE";
    case InstructionSet::kAvx512Bf16:
      return "AVX512_CORE_BF16";
    case InstructionSet::kAmx:
      return "AVX512_CORE_AMX";
    default:
      return "AVX2";
  }
}

}  // namespace slopewise
