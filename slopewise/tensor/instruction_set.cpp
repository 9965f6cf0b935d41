#include "slopewise/tensor/instruction_set.hpp"

#include <oneapi/dnnl/dnnl.hpp>

namespace slopewise {

InstructionSet instruction_set() {
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::avx512_core:
    case dnnl::cpu_isa::avx512_core_vnni:
      return InstructionSet::kAvx512;
    case dnnl::cpu_isa::avx512_core_bf16:
      return InstructionSet::kAvx512Bf16;
    case dnnl::cpu_isa::avx512_core_amx:
      return InstructionSet::kAmx;
    default:
      return InstructionSet::kAvx2;
  }
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
