# An overlay port: vcpkg install shmheap --overlay-ports=packaging/vcpkg. The sources are the
# repository that this folder lies in, or that SHMHEAP_SOURCE of the environment names.
if(DEFINED ENV{SHMHEAP_SOURCE})
    set(SOURCE_PATH "$ENV{SHMHEAP_SOURCE}")
else()
    get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)
endif()

string(COMPARE EQUAL "${VCPKG_LIBRARY_LINKAGE}" "static" STATIC)
string(COMPARE EQUAL "${VCPKG_LIBRARY_LINKAGE}" "dynamic" SHARED)
vcpkg_check_features(OUT_FEATURE_OPTIONS FEATURE_OPTIONS FEATURES tool SHMHEAP_TOOL)

vcpkg_cmake_configure(SOURCE_PATH "${SOURCE_PATH}"
    OPTIONS
        -DSHMHEAP_STATIC=${STATIC}
        -DSHMHEAP_SHARED=${SHARED}
        -DSHMHEAP_FORTRAN=OFF
        -DSHMHEAP_MPI=OFF
        -DSHMHEAP_TESTS=OFF
        ${FEATURE_OPTIONS})
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(PACKAGE_NAME shmheap CONFIG_PATH lib/cmake/shmheap)
vcpkg_fixup_pkgconfig()
if("tool" IN_LIST FEATURES)
    vcpkg_copy_tools(TOOL_NAMES shmheap AUTO_CLEAN)
    # The tool finds these libraries beside itself.
    foreach(name recorder runner)
        file(RENAME "${CURRENT_PACKAGES_DIR}/lib/shmheap/lib${name}.so"
            "${CURRENT_PACKAGES_DIR}/tools/shmheap/lib${name}.so")
    endforeach()
    file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/lib/shmheap"
        "${CURRENT_PACKAGES_DIR}/debug/lib/shmheap")
endif()
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include" "${CURRENT_PACKAGES_DIR}/debug/share")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
