# tuma_chain_test(fault.kills LABEL fault TIMEOUT 600 FILES 0000_kills.py …): one run of chain.py, so
# one set of servers, for a group of files. Such a run is two dozen processes that mostly wait: three of
# them may run beside each other, and other tests beside all. COST is about its seconds; the longest start first.
function(tuma_chain_test name)
    cmake_parse_arguments(ARG "" "LABEL;TIMEOUT;COST" "FILES" ${ARGN})
    if(NOT ARG_COST)
        set(ARG_COST 50)
    endif()
    list(TRANSFORM ARG_FILES PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
    add_test(NAME ${name} COMMAND ${PROJECT_SOURCE_DIR}/tests/support/chain.py
        --build ${PROJECT_BINARY_DIR} ${ARG_FILES})
    # One lane after the other.
    get_property(lane GLOBAL PROPERTY tuma_chain_lane)
    math(EXPR lane "(0${lane} + 1) % 3")
    set_property(GLOBAL PROPERTY tuma_chain_lane ${lane})
    set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT}
        COST ${ARG_COST} RESOURCE_LOCK chain_${lane})
endfunction()
