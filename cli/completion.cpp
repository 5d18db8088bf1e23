#include "cli/candidates.h"
#include "cli/commands.h"
#include "cli/manual.h"
#include "cli/options.h"
#include "cli/output.h"
#include "engine/base/check.h"
#include "engine/base/nearest.h"

namespace retort {

namespace {

// Each asks `retort completion candidates WORD...`, which prints "WORD<tab>HELP" lines, and ":files" or
// ":folders" where names of such may stand too.

const char* const bash_script = R"script(# bash completion of retort: eval "$(retort completion bash)"
_retort() {
  local line=${COMP_LINE:0:COMP_POINT} last kept='' candidate rest
  local -a words
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  last=${words[-1]}
  # readline replaces what follows the last of its word breaks.
  [[ $COMP_WORDBREAKS == *=* && $last == *=* ]] && kept=${last%"${last##*=}"}
  [[ $COMP_WORDBREAKS == *:* && ${last#"$kept"} == *:* ]] && kept=${last%"${last##*:}"}
  COMPREPLY=()
  while IFS=$'\t' read -r candidate rest; do
    case $candidate in
      :files) compopt -o filenames; mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "${last#"$kept"}") ;;
      :folders) compopt -o filenames; mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -d -- "${last#"$kept"}") ;;
      *) COMPREPLY+=("${candidate#"$kept"}") ;;
    esac
  done < <("${words[0]/#\~/$HOME}" completion candidates "${words[@]:1}" 2>/dev/null)
  [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=:] ]] && compopt -o nospace
  return 0
}
complete -F _retort retort
)script";

const char* const zsh_script = R"script(#compdef retort
# zsh completion of retort: a file _retort in a folder of $fpath, or eval "$(retort completion zsh)" after compinit
_retort() {
  local line word help files=''
  local -a whole open
  while IFS=$'\t' read -r word help; do
    case $word in
      :files) files='_files' ;;
      :folders) files='_files -/' ;;
      *[=:]) open+=("${word//:/\\:}:$help") ;;
      *) whole+=("${word//:/\\:}:$help") ;;
    esac
  done < <("${(e)words[1]/#\~/$HOME}" completion candidates "${(@Q)words[2,CURRENT]}" 2>/dev/null)
  # Behind the colon of folder:DIR only the folder is completed.
  [[ -n $files && $PREFIX == *:* ]] && compset -P '*:'
  (( $#whole )) && _describe retort whole
  (( $#open )) && _describe retort open -S ''
  [[ -n $files ]] && ${=files}
}
if [[ $funcstack[1] == _retort ]]; then _retort "$@"; else compdef _retort retort; fi
)script";

const char* const fish_script = R"script(# fish completion of retort: retort completion fish | source
function __retort_candidates
    set -l typed (commandline -ct)
    set -l words (commandline -opc)
    # Behind the colon of folder:DIR only the folder is completed.
    set -l path (string replace -r '^[a-z0-9]+:' '' -- "$typed")
    set -l kind (string replace -- "$path" '' "$typed")
    for line in ($words[1] completion candidates $words[2..-1] "$typed" 2>/dev/null)
        switch $line
            case ':files'
                string replace -r '^' -- "$kind" (__fish_complete_path $path)
            case ':folders'
                string replace -r '^' -- "$kind" (__fish_complete_directories $path)
            case '*'
                echo $line
        end
    end
end
complete -c retort -f -a '(__retort_candidates)'
)script";

std::string lines_of(const Candidates& all) {
  std::string lines;
  for (const Candidates::Word& word : all.words) lines += word.word + "\t" + word.help + "\n";
  if (all.files == Candidates::Files::any) lines += ":files\n";
  if (all.files == Candidates::Files::folders) lines += ":folders\n";
  return lines;
}

std::string completion_script(const std::string& shell) {
  if (shell == "bash") return bash_script;
  if (shell == "zsh") return zsh_script;
  if (shell == "fish") return fish_script;
  fail(Fault::usage, "completion: '", shell, "' is no shell that is known; ",
       suggestion(shell, {"bash", "zsh", "fish"}));
}

}  // namespace

int run_completion(const Arguments& arguments) {
  if (!arguments.empty() && arguments[0] == "candidates") {
    print(lines_of(candidates({arguments.begin() + 1, arguments.end()})));
    return 0;
  }
  Options options("completion", "what makes the Tab key complete commands, options and names",
                  {"retort completion bash > ~/.local/share/bash-completion/completions/retort",
                   "retort completion zsh > ~/.zfunc/_retort    # ~/.zfunc in fpath",
                   "retort completion fish > ~/.config/fish/completions/retort.fish"});
  std::vector<std::string> shells;
  options.positional("SHELL", "bash, zsh or fish", shells);
  if (!options.parse(arguments)) return 0;
  check(shells.size() == 1, Fault::usage, "completion: ", shells.size(),
        " shells are named, expected bash, zsh or fish");
  print(completion_script(shells[0]));
  return 0;
}

int run_man(const Arguments& arguments) {
  Options options("man", "commands, options, settings and exit codes as one manual page, retort(1)",
                  {"retort man | man -l -", "retort man > ~/.local/share/man/man1/retort.1"});
  if (!options.parse(arguments)) return 0;
  print(manual_page());
  return 0;
}

}  // namespace retort
