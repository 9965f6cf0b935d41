# What `cmake --install` puts down: the library, its headers, the command line, and a package for find_package(slopewise).
option(SLOPEWISE_INSTALL "Install the library and its CMake package" ${PROJECT_IS_TOP_LEVEL})
if(NOT SLOPEWISE_INSTALL)
  return()
endif()

include(CMakePackageConfigHelpers)
set(package_directory ${CMAKE_INSTALL_LIBDIR}/cmake/slopewise)

install(TARGETS slopewise EXPORT slopewise-targets)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/slopewise DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")
if(TARGET slopewise_cli)
  install(TARGETS slopewise_cli)
  set(words ${PROJECT_BINARY_DIR}/apps/words)
  install(FILES ${words}/slopewise DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
  install(FILES ${words}/_slopewise DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
  install(DIRECTORY ${words}/man/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()

install(EXPORT slopewise-targets NAMESPACE slopewise:: DESTINATION ${package_directory})
configure_package_config_file(
  ${CMAKE_CURRENT_LIST_DIR}/slopewise-config.cmake.in ${PROJECT_BINARY_DIR}/slopewise-config.cmake
  INSTALL_DESTINATION ${package_directory} NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
# Before 1.0 a minor version may break what an earlier one promised.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/slopewise-config-version.cmake COMPATIBILITY SameMinorVersion)
install(
  FILES ${PROJECT_BINARY_DIR}/slopewise-config.cmake ${PROJECT_BINARY_DIR}/slopewise-config-version.cmake
        ${CMAKE_CURRENT_LIST_DIR}/dependencies.cmake
  DESTINATION ${package_directory})
