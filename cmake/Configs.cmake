# rose_embed_configs(TARGET): the files of configs/ become part of the program, as models/shipped_configs.h shows them: a
# bundle then needs no path to find them.
function(rose_embed_configs target)
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/configs/*.json)
  set(text "#include \"models/shipped_configs.h\"\n\nnamespace rose::models {\nnamespace {\n\nconstexpr ShippedConfig kConfigs[] = {\n")
  foreach(file IN LISTS files)
    get_filename_component(name ${file} NAME_WLE)  # the last extension alone: "Llama-3.1-8B"
    file(READ ${file} json)
    string(APPEND text "    {\"${name}\", R\"json(${json})json\"},\n")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  endforeach()
  string(APPEND text "};\n\n}  // namespace\n\nstd::span<const ShippedConfig> shipped_configs() { return kConfigs; }\n\n}  // namespace rose::models\n")
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/shipped_configs.cpp CONTENT "${text}" @ONLY)
  target_sources(${target} PRIVATE ${CMAKE_BINARY_DIR}/generated/shipped_configs.cpp)
endfunction()
