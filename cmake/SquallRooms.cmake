# The rooms of src/LAYERS as CMake targets: one static library a room, linked to the rooms that its
# line names, so that what may be included and what is linked can never differ.

# Third-party libraries by the headers that LAYERS lets a room see: pkg-config module of each.
set(SQUALL_HEADER_MODULES
    "<hdf5.h=hdf5" "<netcdf.h=netcdf" "<eccodes.h=eccodes" "<tiffio.h=libtiff-4"
    "<libdeflate.h=libdeflate" "<proj.h=proj" "<sodium.h=libsodium"
    "<cairo=cairo" "<ft2build.h=freetype2" "<jansson.h=jansson"
    "<microhttpd.h=libmicrohttpd" "<ini.h=inih" "<sqlite3.h=sqlite3"
    "<mosquitto.h=libmosquitto" "<curl/=libcurl")

# squall_rooms(): make the target sq_<room> (slashes as underscores) of every room that has a source.
# Sets SQUALL_ROOMS to the target names, in the order of LAYERS.
macro(squall_rooms)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/LAYERS)
  file(STRINGS ${CMAKE_CURRENT_SOURCE_DIR}/LAYERS layer_lines)
  set(SQUALL_ROOMS "")
  foreach(line IN LISTS layer_lines)
    if(line MATCHES "^([a-z0-9/]+):(.*)$")
      set(room ${CMAKE_MATCH_1})
      string(STRIP "${CMAKE_MATCH_2}" below)
      string(REGEX REPLACE " +" ";" below "${below}")
      string(REPLACE "/" "_" target sq_${room})
      file(GLOB sources CONFIGURE_DEPENDS ${room}/*.c)
      if(sources AND NOT room STREQUAL cli)
        add_library(${target} STATIC ${sources})
        target_include_directories(${target} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR}
                                                    ${CMAKE_SOURCE_DIR}/include)
        target_link_libraries(${target} PUBLIC Threads::Threads m)
        foreach(other IN LISTS below)
          string(REPLACE "/" "_" other_target sq_${other})
          if(TARGET ${other_target})
            target_link_libraries(${target} PUBLIC ${other_target})
          endif()
        endforeach()
        list(APPEND SQUALL_ROOMS ${target})
      endif()
    elseif(line MATCHES "^(<[^ ]+) +(.*)$")
      set(header ${CMAKE_MATCH_1})
      string(REGEX REPLACE " +" ";" seers "${CMAKE_MATCH_2}")
      foreach(pair IN LISTS SQUALL_HEADER_MODULES)
        string(REGEX MATCH "^([^=]+)=(.+)$" _ "${pair}")
        if(CMAKE_MATCH_1 STREQUAL header)
          set(module ${CMAKE_MATCH_2})
          if(NOT TARGET PkgConfig::${module})
            pkg_check_modules(${module} REQUIRED IMPORTED_TARGET ${module})
            # Debian 12's eccodes.pc names an include folder that is not there.
            get_target_property(folders PkgConfig::${module} INTERFACE_INCLUDE_DIRECTORIES)
            set(real_folders "")
            foreach(folder IN LISTS folders)
              if(IS_DIRECTORY ${folder})
                list(APPEND real_folders ${folder})
              endif()
            endforeach()
            set_target_properties(PkgConfig::${module} PROPERTIES
                                  INTERFACE_INCLUDE_DIRECTORIES "${real_folders}")
          endif()
          foreach(seer IN LISTS seers)
            string(REPLACE "/" "_" seer_target sq_${seer})
            if(TARGET ${seer_target})
              target_link_libraries(${seer_target} PUBLIC PkgConfig::${module})
            endif()
          endforeach()
        endif()
      endforeach()
    endif()
  endforeach()

  # One instruction set a file: what its name ends with says the flags.
  foreach(suffix_flags IN ITEMS
          "_avx512vnni.c=-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mavx512vnni;-mfma;-mf16c;-mprefer-vector-width=512;$<$<C_COMPILER_ID:GNU>:-fno-tree-pre>"
          "_avx512.c=-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mfma;-mf16c;-mprefer-vector-width=512;$<$<C_COMPILER_ID:GNU>:-fno-tree-pre>"
          "_avx2.c=-mavx2;-mfma;-mf16c"
          "_neondot.c=-march=armv8.2-a+dotprod"
          "_neoni8mm.c=-march=armv8.2-a+dotprod+i8mm")
    string(REGEX MATCH "^([^=]+)=(.+)$" _ "${suffix_flags}")
    set(suffix ${CMAKE_MATCH_1})
    set(flags ${CMAKE_MATCH_2})
    set(family x86_64|AMD64)
    if(suffix MATCHES neon)
      set(family aarch64|arm64)
    endif()
    if(CMAKE_SYSTEM_PROCESSOR MATCHES "${family}")
      file(GLOB_RECURSE files CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*${suffix})
      set_source_files_properties(${files} PROPERTIES COMPILE_OPTIONS "${flags}")
    endif()
  endforeach()
  # Kernels run fast in every preset. Under the sanitizers -O1 is enough: it compiles in a sixth of the time of -O3.
  file(GLOB kernel_files CONFIGURE_DEPENDS nn/cpu/*.c nn/ref/*.c wx/motion/*.c wx/cascade/*.c wx/ensemble/*.c)
  set(kernel_level -O3)
  if(SQUALL_SANITIZE)
    set(kernel_level -O1)
  endif()
  foreach(kernel_file IN LISTS kernel_files)
    set_property(SOURCE ${kernel_file} APPEND PROPERTY COMPILE_OPTIONS ${kernel_level})
  endforeach()
  # A square root may then be taken of many lanes at once; nobody here looks at errno.
  file(GLOB square_root_files CONFIGURE_DEPENDS wx/cascade/*.c)
  foreach(kernel_file IN LISTS square_root_files)
    set_property(SOURCE ${kernel_file} APPEND PROPERTY COMPILE_OPTIONS -fno-math-errno)
  endforeach()
endmacro()
