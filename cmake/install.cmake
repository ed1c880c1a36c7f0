# make install PREFIX=…: program, both libraries, header, pkg-config file, example, licence.
install(TARGETS berth_static berth_shared
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET berth)
    install(TARGETS berth RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
# Beside no other library: it is loaded by its place (src/cuda/gpu.c), never linked. There is one where nvcc is.
install(FILES ${CMAKE_BINARY_DIR}/libberth_cuda.so DESTINATION lib/berth OPTIONAL)
install(DIRECTORY include/berth DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
# The prefix may be chosen at install time: the file finds it from its own place.
file(RELATIVE_PATH BERTH_PREFIX_FROM_PC /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(cmake/berth.pc.in berth.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/berth.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES LICENSE README.md examples/classify.c DESTINATION ${CMAKE_INSTALL_DOCDIR})
file(GLOB BERTH_MAN docs/man/*.1)
if(BERTH_MAN)
    install(FILES ${BERTH_MAN} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()
if(EXISTS ${CMAKE_SOURCE_DIR}/completions/berth.bash)
    install(FILES completions/berth.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME berth)
endif()
# Models that travel with berth: found from the program's or the library's own place (src/pipeline/bundled.c).
if(EXISTS ${CMAKE_SOURCE_DIR}/models)
    install(DIRECTORY models DESTINATION ${CMAKE_INSTALL_DATADIR}/berth)
endif()
