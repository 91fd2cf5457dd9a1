# Write cli_version.h with the version and the commit it was built from; see src/CMakeLists.txt.
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=10 --exclude *
                OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT commit)
  set(commit "unknown")
endif()
set(text "/* Made by cmake/Version.cmake. */\n#define SQUALL_VERSION \"${VERSION}\"\n#define SQUALL_COMMIT \"${commit}\"\n")
set(old "")
if(EXISTS ${OUT})
  file(READ ${OUT} old)
endif()
if(NOT old STREQUAL text)
  file(WRITE ${OUT} "${text}")
endif()
