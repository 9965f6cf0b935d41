// Which of a processor's instructions this process uses.
#pragma once

#include <string_view>

namespace slopewise {

// Each has those before it: AVX2 with FMA, the floor; AVX-512 (F, BW, DQ, VL); its products of bfloat16 numbers; AMX.
enum class InstructionSet { kAvx2, kAvx512, kAvx512Bf16, kAmx };

// The processor's own, unless DNNL_MAX_CPU_ISA (AVX2, AVX512_CORE, AVX512_CORE_BF16) narrows it: that is oneDNN's
// switch, and OpenBLAS's kernels and Highway's follow it.
InstructionSet instruction_set();

// As DNNL_MAX_CPU_ISA calls it.
std::string_view instruction_set_name(InstructionSet set);

}  // namespace slopewise
