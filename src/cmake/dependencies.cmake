# Third-party libraries, one place. Debian 12 names: see launch/packages.txt.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(ZLIB REQUIRED)
find_package(JPEG REQUIRED)
find_package(PNG REQUIRED)
find_package(MPI REQUIRED COMPONENTS CXX)
find_package(Boost REQUIRED COMPONENTS program_options)
find_package(OpenMP REQUIRED COMPONENTS CXX)  # only omp_set_num_threads(1) around oneDNN

# The serial library on purpose: one writer, no collective HDF5.
find_path(HDF5_SERIAL_INCLUDE hdf5.h PATH_SUFFIXES hdf5/serial REQUIRED)
find_library(HDF5_SERIAL_LIBRARY NAMES hdf5_serial hdf5 REQUIRED)
add_library(sy_hdf5 INTERFACE IMPORTED)
set_target_properties(sy_hdf5 PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${HDF5_SERIAL_INCLUDE}
                                         INTERFACE_LINK_LIBRARIES ${HDF5_SERIAL_LIBRARY})

find_path(XXHASH_INCLUDE xxhash.h REQUIRED)
find_library(XXHASH_LIBRARY xxhash REQUIRED)
add_library(sy_xxhash INTERFACE IMPORTED)
set_target_properties(sy_xxhash PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${XXHASH_INCLUDE}
                                           INTERFACE_LINK_LIBRARIES ${XXHASH_LIBRARY})

find_path(CSV_INCLUDE csv.h REQUIRED)
find_library(CSV_LIBRARY csv REQUIRED)
add_library(sy_csv INTERFACE IMPORTED)
set_target_properties(sy_csv PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${CSV_INCLUDE}
                                        INTERFACE_LINK_LIBRARIES ${CSV_LIBRARY})

find_path(SENTENCEPIECE_INCLUDE sentencepiece_trainer.h REQUIRED)
find_library(SENTENCEPIECE_LIBRARY sentencepiece REQUIRED)
find_library(SENTENCEPIECE_TRAIN_LIBRARY sentencepiece_train REQUIRED)
add_library(sy_sentencepiece INTERFACE IMPORTED)
set_target_properties(sy_sentencepiece PROPERTIES
                      INTERFACE_INCLUDE_DIRECTORIES ${SENTENCEPIECE_INCLUDE}
                      INTERFACE_LINK_LIBRARIES "${SENTENCEPIECE_TRAIN_LIBRARY};${SENTENCEPIECE_LIBRARY}")

# Debian's dnnl-config.cmake asks for OpenCL, which only its GPU half needs: look for the CPU library itself.
find_path(DNNL_INCLUDE dnnl.hpp REQUIRED)
find_library(DNNL_LIBRARY dnnl REQUIRED)
add_library(sy_dnnl INTERFACE IMPORTED)
set_target_properties(sy_dnnl PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${DNNL_INCLUDE}
                                         INTERFACE_LINK_LIBRARIES ${DNNL_LIBRARY})
