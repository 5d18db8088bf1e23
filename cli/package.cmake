# The release. `cmake --workflow --preset package` leaves in build/packages
#   retort_VERSION-1~SUITE_ARCH.deb      the program of this build; dpkg-shlibdeps (dpkg-dev) finds what it depends on
#   retort-VERSION-linux-CPU.tar.gz      the program without oneDNN, linked statically: needs nothing but a kernel
cmake_host_system_information(RESULT suite QUERY DISTRIB_VERSION_CODENAME)
if(NOT suite)
  set(suite linux)
endif()
set(CPACK_PACKAGE_NAME retort)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "The retort authors")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Knowledge distillation of image classifiers")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_PACKAGE_FILE_NAME retort-${PROJECT_VERSION}-linux-${CMAKE_SYSTEM_PROCESSOR})
set(CPACK_STRIP_FILES ON)
# The program and its papers, not the libraries for developers.
set(CPACK_COMPONENTS_ALL program)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_ARCHIVE_COMPONENT_INSTALL ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1~${suite})
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS curl)  # for `retort data fetch`
include(CPack)

# A build of its own, since the backend is chosen when it is configured.
set(static ${PROJECT_BINARY_DIR}/static)
add_custom_target(static_archive
  COMMAND ${CMAKE_COMMAND} -S ${PROJECT_SOURCE_DIR} -B ${static} -G ${CMAKE_GENERATOR}
          -DCMAKE_C_COMPILER=${CMAKE_C_COMPILER} -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER} -DCMAKE_BUILD_TYPE=Release
          -DRETORT_WERROR=${RETORT_WERROR} -DRETORT_STATIC=ON -DRETORT_ONEDNN=OFF -DRETORT_CUDA=OFF -DRETORT_TESTS=OFF
          -DRETORT_BENCH=OFF
  COMMAND ${CMAKE_COMMAND} --build ${static}
  # In a folder of its own, which archives of components are not by themselves; a .deb must not be.
  COMMAND ${CMAKE_CPACK_COMMAND} -G TGZ -D CPACK_COMPONENT_INCLUDE_TOPLEVEL_DIRECTORY=ON
          --config ${static}/CPackConfig.cmake -B ${PROJECT_SOURCE_DIR}/build/packages
  WORKING_DIRECTORY ${PROJECT_BINARY_DIR} USES_TERMINAL VERBATIM
  COMMENT "The same program in one file that needs nothing")
