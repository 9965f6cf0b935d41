# Flags for Slopewise's own targets only; whoever embeds the library keeps theirs.
add_library(slopewise_flags INTERFACE)
target_compile_features(slopewise_flags INTERFACE cxx_std_20)
target_compile_options(slopewise_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wno-missing-field-initializers
  # GCC 12 sees an overlap in "literal" + std::string&& that is not there (GCC bug 105651).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  # What Clang, which the presets fuzz and tsan take, warns of beyond GCC: a | b ? x : y, GCC's pragmas, names in lambdas.
  $<$<CXX_COMPILER_ID:Clang>:-Wno-bitwise-conditional-parentheses -Wno-unknown-pragmas -Wno-shadow>
  # AVX2 and FMA are the floor; wider kernels are chosen at run time (Highway, oneDNN, OpenBLAS).
  -march=x86-64-v3
  # errno and trap state are never read, so sqrt and friends may be vectorised; NaN and inf keep their meaning.
  -fno-math-errno -fno-trapping-math)
if(SLOPEWISE_WARNINGS_AS_ERRORS)
  target_compile_options(slopewise_flags INTERFACE -Werror)
endif()
if(SLOPEWISE_SANITIZE)
  target_compile_options(slopewise_flags INTERFACE -fsanitize=${SLOPEWISE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all
    # Under sanitizers GCC 12 takes members of std::regex for uninitialised (GCC bug 105562).
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  target_link_options(slopewise_flags INTERFACE -fsanitize=${SLOPEWISE_SANITIZE})
endif()
# In the preset fuzz what reads files from elsewhere is watched; the rest would take ten times as long to compile.
if(SLOPEWISE_BUILD_FUZZERS)
  add_library(slopewise_watched INTERFACE)
  target_compile_options(slopewise_watched INTERFACE
    -fsanitize=address,undefined,fuzzer-no-link -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(slopewise_flags INTERFACE -fsanitize=address,undefined)
endif()
