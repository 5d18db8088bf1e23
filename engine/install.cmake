# What a library of this project is to others, built here or installed: find_package(retort), pkg-config, or
# add_subdirectory. The installed tree may be moved.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(retort_include ${CMAKE_INSTALL_INCLUDEDIR}/retort-${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
set(retort_cmake ${CMAKE_INSTALL_LIBDIR}/cmake/retort)

# Its flags are its own business; headers are found from the root of the sources.
function(retort_library target)
  target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:retort_flags>)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
                                              $<INSTALL_INTERFACE:${retort_include}>)
  string(REPLACE "retort_" "" short ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${short})
endfunction()

function(retort_configure_pc name folder)
  configure_file(${folder}/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()

# From the pkg-config file to the prefix, wherever that is.
file(RELATIVE_PATH RETORT_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)

set_target_properties(retort_infer PROPERTIES EXPORT_NAME infer)
target_include_directories(retort_infer PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/engine/infer>
                                               $<INSTALL_INTERFACE:${retort_include}>)
install(TARGETS retort_infer EXPORT retort_infer ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT retort_infer NAMESPACE retort:: FILE retortInferTargets.cmake DESTINATION ${retort_cmake})
install(FILES ${PROJECT_SOURCE_DIR}/engine/infer/retort.h DESTINATION ${retort_include})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/CITATION.cff DESTINATION ${CMAKE_INSTALL_DOCDIR}
        COMPONENT program)
# Again once it is known what the libraries need.
function(retort_configure_package)
  configure_package_config_file(${PROJECT_SOURCE_DIR}/engine/retortConfig.cmake.in
                                ${PROJECT_BINARY_DIR}/retortConfig.cmake INSTALL_DESTINATION ${retort_cmake})
endfunction()
retort_configure_package()
write_basic_package_version_file(${PROJECT_BINARY_DIR}/retortConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/retortConfig.cmake ${PROJECT_BINARY_DIR}/retortConfigVersion.cmake
        DESTINATION ${retort_cmake})
retort_configure_pc(retort-infer ${PROJECT_SOURCE_DIR}/engine/infer)

# Everything else, once it is defined.
function(retort_install_libraries)
  set(RETORT_PC_PRIVATE "-lyaml-cpp")
  if(RETORT_HAS_ONEDNN)
    string(APPEND RETORT_PC_PRIVATE " -ldnnl")
    install(FILES ${PROJECT_SOURCE_DIR}/engine/cpu/onednn/FindOneDNN.cmake DESTINATION ${retort_cmake})
  endif()
  if(RETORT_HAS_TURBO)
    string(APPEND RETORT_PC_PRIVATE " -ljpeg")
  endif()
  if(RETORT_HAS_CUDA)
    string(APPEND RETORT_PC_PRIVATE " -L${CUDAToolkit_LIBRARY_DIR} -lcudart_static -lrt")
  endif()
  retort_configure_pc(retort ${PROJECT_SOURCE_DIR}/engine)
  retort_configure_package()
  install(TARGETS retort_engine retort_layers retort_models retort_datasets retort_distill retort_program EXPORT retort
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT retort NAMESPACE retort:: FILE retortTargets.cmake DESTINATION ${retort_cmake})
  install(TARGETS retort_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
  install(FILES cli/program.h DESTINATION ${retort_include}/cli)
  install(DIRECTORY engine layers models datasets distill DESTINATION ${retort_include}
          FILES_MATCHING PATTERN "*.h" PATTERN "engine/infer" EXCLUDE)
endfunction()
