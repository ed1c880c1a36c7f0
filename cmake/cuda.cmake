# The plugin for NVIDIA GPUs, where nvcc is: build/libberth_cuda.so, loaded at run time by --runtime cuda. Machine code for
# sm_90 and PTX for compute capability 8.0 and newer, which the driver compiles on first use elsewhere. BERTH_CUDA=OFF: none.
option(BERTH_CUDA "build the plugin for CUDA where nvcc is" ON)
file(GLOB BERTH_CUDA_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/cuda/plugin/*.cu)
file(GLOB BERTH_CUDA_HEADERS CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/cuda/plugin/*.cuh ${CMAKE_SOURCE_DIR}/src/cuda/abi.h)
set(BERTH_CUDA_MISSING "BERTH_CUDA is OFF")
if(BERTH_CUDA)
    find_program(NVCC nvcc HINTS /usr/local/cuda/bin /opt/cuda/bin)
    if(NVCC)
        execute_process(COMMAND ${NVCC} --version OUTPUT_VARIABLE NVCC_VERSION)
        string(REGEX MATCH "release ([0-9.]+)" NVCC_RELEASE "${NVCC_VERSION}")
        set(NVCC_RELEASE "${CMAKE_MATCH_1}")
        get_filename_component(CUDA_ROOT ${NVCC} REALPATH)
        get_filename_component(CUDA_ROOT ${CUDA_ROOT} DIRECTORY)
        find_path(CUBLASLT_INCLUDE cublasLt.h HINTS ${CUDA_ROOT}/../include ${CUDA_ROOT}/../targets/x86_64-linux/include)
    endif()
    set(BERTH_CUDA_MISSING "")
    if(NOT NVCC)
        set(BERTH_CUDA_MISSING "nvcc is not here")
    elseif(NVCC_RELEASE VERSION_LESS 12)
        set(BERTH_CUDA_MISSING "${NVCC} is of CUDA ${NVCC_RELEASE}; 12 or newer is needed")
    elseif(NOT CUBLASLT_INCLUDE)
        set(BERTH_CUDA_MISSING "cublasLt.h is not beside ${NVCC}")
    endif()
endif()
if(BERTH_CUDA_MISSING)
    message(STATUS "without the CUDA plugin: ${BERTH_CUDA_MISSING}")
    add_custom_target(berth_cuda) # nothing to build
else()
    set(NVCC_FLAGS -std=c++20 -O3 -Xcompiler=-fPIC,-fvisibility=hidden,-Wall,-Wextra,-Wno-unused-parameter
        -gencode=arch=compute_80,code=compute_80 -gencode=arch=compute_90,code=sm_90 -diag-suppress=186)
    foreach(source ${BERTH_CUDA_SOURCES})
        get_filename_component(name ${source} NAME_WE)
        set(object ${CMAKE_BINARY_DIR}/cuda/${name}.o)
        add_custom_command(OUTPUT ${object}
            COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/cuda
            COMMAND ${NVCC} ${NVCC_FLAGS} "-DBERTH_CUDA_BUILT=\"CUDA ${NVCC_RELEASE}\"" -c ${source} -o ${object}
            DEPENDS ${source} ${BERTH_CUDA_HEADERS} VERBATIM)
        list(APPEND BERTH_CUDA_OBJECTS ${object})
    endforeach()
    add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/libberth_cuda.so
        COMMAND ${NVCC} -shared -cudart static -o ${CMAKE_BINARY_DIR}/libberth_cuda.so ${BERTH_CUDA_OBJECTS} -lcublasLt
        DEPENDS ${BERTH_CUDA_OBJECTS} VERBATIM)
    add_custom_target(berth_cuda ALL DEPENDS ${CMAKE_BINARY_DIR}/libberth_cuda.so)
endif()
