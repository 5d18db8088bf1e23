# Writes the manual page and the completions of the program into a folder:
#   cmake -D PROGRAM=FILE -D FOLDER=DIR -P write_manual.cmake
function(write file)
  execute_process(COMMAND ${PROGRAM} ${ARGN} OUTPUT_VARIABLE content COMMAND_ERROR_IS_FATAL ANY)
  file(WRITE ${FOLDER}/${file} "${content}")
endfunction()
write(retort.1 man)
write(bash/retort completion bash)
write(zsh/_retort completion zsh)
write(fish/retort.fish completion fish)
