# rose_room(NAME DEPENDS rooms... LIBS targets...)
#
# Makes src/NAME one static library, rose_NAME ("/" becomes "_"). The library's only include path is a
# folder of links, build/rooms/NAME, that shows the room itself; other rooms are seen through DEPENDS
# alone, so including a room that is not linked does not compile. DEPENDS must name rooms declared before.

set_property(GLOBAL PROPERTY ROSE_ROOMS "")

function(rose_target_of room out)
  string(REPLACE "/" "_" name ${room})
  set(${out} rose_${name} PARENT_SCOPE)
endfunction()

function(rose_room room)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LIBS" ${ARGN})
  get_property(rooms GLOBAL PROPERTY ROSE_ROOMS)
  foreach(dependency IN LISTS ARG_DEPENDS)
    if(NOT dependency IN_LIST rooms)
      message(FATAL_ERROR "room '${room}' links to '${dependency}', which does not stand above it in CMakeLists.txt")
    endif()
  endforeach()

  rose_target_of(${room} target)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${room}/*.cpp ${CMAKE_SOURCE_DIR}/src/${room}/*/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/src/cli/program/")
  if(NOT sources)
    file(WRITE ${CMAKE_BINARY_DIR}/empty/${target}.cpp "namespace rose {}\n")
    set(sources ${CMAKE_BINARY_DIR}/empty/${target}.cpp)
  endif()
  add_library(${target} STATIC ${sources})

  set(view ${CMAKE_BINARY_DIR}/rooms/${target})
  get_filename_component(parent ${view}/${room} DIRECTORY)
  file(MAKE_DIRECTORY ${parent})
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/src/${room} ${view}/${room} SYMBOLIC)
  target_include_directories(${target} PUBLIC ${view})

  target_link_libraries(${target} PUBLIC rose_options Threads::Threads ${ARG_LIBS})
  foreach(dependency IN LISTS ARG_DEPENDS)
    rose_target_of(${dependency} dependency_target)
    target_link_libraries(${target} PUBLIC ${dependency_target})
  endforeach()
  rose_precompile(${target})
  set_property(GLOBAL APPEND PROPERTY ROSE_ROOMS ${room})
endfunction()

# Every folder with sources under src/ must be a declared room.
function(rose_check_rooms)
  get_property(rooms GLOBAL PROPERTY ROSE_ROOMS)
  file(GLOB_RECURSE files RELATIVE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/src/*.cpp)
  foreach(file IN LISTS files)
    set(known FALSE)
    foreach(room IN LISTS rooms)
      if(file MATCHES "^${room}/")
        set(known TRUE)
      endif()
    endforeach()
    if(NOT known)
      message(FATAL_ERROR "src/${file} belongs to no room of CMakeLists.txt")
    endif()
  endforeach()
endfunction()
