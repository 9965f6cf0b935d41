# Puts Vega, Vega-Lite and Vega-Embed with their licences into one script, BUNDLE, installed by NPM from SOURCE's lock
# file. The build goes on without them: then the bundle is empty, and reports hold tables instead of charts.
file(WRITE ${BUNDLE} "")
set(without_charts "report.html will hold tables instead of charts")
if(NOT NPM)
  message(STATUS "Without npm ${without_charts}")
  return()
endif()

cmake_path(GET BUNDLE PARENT_PATH directory)
file(COPY ${SOURCE}/package.json ${SOURCE}/package-lock.json DESTINATION ${directory})
execute_process(
  COMMAND ${NPM} ci --prefer-offline --ignore-scripts --no-audit --no-fund --loglevel=error
  WORKING_DIRECTORY ${directory} RESULT_VARIABLE failed OUTPUT_QUIET ERROR_VARIABLE message)
if(failed)
  message(WARNING "npm could not install Vega-Lite: ${without_charts}. Remove ${BUNDLE} to try again.\n${message}")
  return()
endif()

foreach(package vega vega-lite vega-embed)
  file(READ ${directory}/node_modules/${package}/LICENSE license)
  file(READ ${directory}/node_modules/${package}/build/${package}.min.js script)
  # A source map would be asked for over the network; "</script" would end the element that holds the bundle.
  string(REGEX REPLACE "\n//# sourceMappingURL=[^\n]*" "" script "${script}")
  string(REPLACE "</script" "<\\/script" script "${script}")
  file(APPEND ${BUNDLE} "/* ${package}\n${license}*/\n" "${script}" "\n")
endforeach()
