# The plugin for NVIDIA GPUs, where nvcc is: build/libberth_cuda.so, loaded at run time by --runtime cuda. Machine code for
# sm_90 and PTX for compute capability 8.0 and newer, which the driver compiles on first use elsewhere. BERTH_CUDA=OFF: none.
option(BERTH_CUDA "build the plugin for CUDA where nvcc is" OFF)
file(GLOB BERTH_CUDA_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/cuda/plugin/*.cu)
file(GLOB BERTH_CUDA_HEADERS CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/cuda/plugin/*.cuh ${CMAKE_SOURCE_DIR}/src/cuda/abi.h)
if(BERTH_CUDA)
    find_program(NVCC nvcc HINTS /usr/local/cuda/bin /opt/cuda/bin)
endif()
if(BERTH_CUDA AND NVCC)
    set(NVCC_FLAGS -std=c++20 -O3 -Xcompiler=-fPIC,-fvisibility=hidden,-Wall,-Wextra,-Wno-unused-parameter
        -gencode=arch=compute_80,code=compute_80 -gencode=arch=compute_90,code=sm_90 -diag-suppress=186)
    execute_process(COMMAND ${NVCC} --version OUTPUT_VARIABLE NVCC_VERSION)
    string(REGEX MATCH "release [0-9.]+" NVCC_RELEASE "${NVCC_VERSION}")
    string(REPLACE "release" "CUDA" NVCC_RELEASE "${NVCC_RELEASE}")
    foreach(source ${BERTH_CUDA_SOURCES})
        get_filename_component(name ${source} NAME_WE)
        set(object ${CMAKE_BINARY_DIR}/cuda/${name}.o)
        add_custom_command(OUTPUT ${object}
            COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/cuda
            COMMAND ${NVCC} ${NVCC_FLAGS} "-DBERTH_CUDA_BUILT=\"${NVCC_RELEASE}\"" -c ${source} -o ${object}
            DEPENDS ${source} ${BERTH_CUDA_HEADERS} VERBATIM)
        list(APPEND BERTH_CUDA_OBJECTS ${object})
    endforeach()
    add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/libberth_cuda.so
        COMMAND ${NVCC} -shared -cudart static -o ${CMAKE_BINARY_DIR}/libberth_cuda.so ${BERTH_CUDA_OBJECTS} -lcublasLt
        DEPENDS ${BERTH_CUDA_OBJECTS} VERBATIM)
    add_custom_target(berth_cuda ALL DEPENDS ${CMAKE_BINARY_DIR}/libberth_cuda.so)
else()
    add_custom_target(berth_cuda) # nothing to build: no nvcc here
endif()
