# Shared by the build and by the installed package's slopewise-config.cmake: what slopewise::core needs.
include(CMakeFindDependencyMacro)
find_dependency(OpenMP COMPONENTS CXX)
find_dependency(fmt CONFIG)
