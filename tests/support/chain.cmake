# tuma_chain_test(fault.kills LABEL fault TIMEOUT 600 FILES 0000_kills.py …): one run of chain.py, so
# one set of servers, for a group of files. Such a run keeps two processors busy.
function(tuma_chain_test name)
    cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "FILES" ${ARGN})
    list(TRANSFORM ARG_FILES PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
    add_test(NAME ${name} COMMAND ${PROJECT_SOURCE_DIR}/tests/support/chain.py
        --build ${PROJECT_BINARY_DIR} ${ARG_FILES})
    set_tests_properties(${name} PROPERTIES
        LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT} RESOURCE_LOCK chain PROCESSORS 2)
endfunction()
