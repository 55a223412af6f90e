# vcpkg.cmake: stand-ins for the functions of vcpkg that portfile.cmake calls, for a test on a
# machine without vcpkg: cmake -DPORT=... -DCURRENT_PACKAGES_DIR=... -P vcpkg.cmake. They do what
# vcpkg's documentation says, in one configuration, Release.
cmake_minimum_required(VERSION 3.16)

function(run)
    execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE out)
    if(status)
        message(FATAL_ERROR "${ARGN}: ${out}")
    endif()
endfunction()

# Appends -DOPTION=ON or OFF for each pair of a feature and an option.
function(vcpkg_check_features)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "OUT_FEATURE_OPTIONS" "FEATURES")
    set(options)
    list(LENGTH arg_FEATURES count)
    math(EXPR last "${count} - 1")
    foreach(i RANGE 0 ${last} 2)
        math(EXPR j "${i} + 1")
        list(GET arg_FEATURES ${i} feature)
        list(GET arg_FEATURES ${j} option)
        if(feature IN_LIST FEATURES)
            list(APPEND options -D${option}=ON)
        else()
            list(APPEND options -D${option}=OFF)
        endif()
    endforeach()
    set(${arg_OUT_FEATURE_OPTIONS} ${options} PARENT_SCOPE)
endfunction()

function(vcpkg_cmake_configure)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "SOURCE_PATH" "OPTIONS")
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "vcpkg_cmake_configure: ${arg_UNPARSED_ARGUMENTS}")
    endif()
    run(${CMAKE_COMMAND} -S ${arg_SOURCE_PATH} -B ${BUILD} --warn-uninitialized
        -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX=${CURRENT_PACKAGES_DIR}
        -DCMAKE_INSTALL_LIBDIR=lib ${arg_OPTIONS})
endfunction()

function(vcpkg_cmake_install)
    run(${CMAKE_COMMAND} --build ${BUILD} -j 2)
    run(${CMAKE_COMMAND} --install ${BUILD})
endfunction()

function(vcpkg_cmake_config_fixup)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "PACKAGE_NAME;CONFIG_PATH" "")
    file(MAKE_DIRECTORY ${CURRENT_PACKAGES_DIR}/share)
    file(RENAME ${CURRENT_PACKAGES_DIR}/${arg_CONFIG_PATH}
        ${CURRENT_PACKAGES_DIR}/share/${arg_PACKAGE_NAME})
    file(REMOVE ${CURRENT_PACKAGES_DIR}/lib/cmake)
endfunction()

function(vcpkg_fixup_pkgconfig)
    if(NOT EXISTS ${CURRENT_PACKAGES_DIR}/lib/pkgconfig/shmheap.pc)
        message(FATAL_ERROR "there is no lib/pkgconfig/shmheap.pc")
    endif()
endfunction()

function(vcpkg_copy_tools)
    cmake_parse_arguments(PARSE_ARGV 0 arg "AUTO_CLEAN" "" "TOOL_NAMES")
    foreach(name ${arg_TOOL_NAMES})
        file(COPY ${CURRENT_PACKAGES_DIR}/bin/${name}
            DESTINATION ${CURRENT_PACKAGES_DIR}/tools/${PORT_NAME})
    endforeach()
    if(arg_AUTO_CLEAN)
        file(REMOVE_RECURSE ${CURRENT_PACKAGES_DIR}/bin)
    endif()
endfunction()

function(vcpkg_install_copyright)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "FILE_LIST")
    file(INSTALL ${arg_FILE_LIST} DESTINATION ${CURRENT_PACKAGES_DIR}/share/${PORT_NAME}
        RENAME copyright)
endfunction()

set(PORT_NAME shmheap)
include(${PORT}/portfile.cmake)
