# Completion for bash: sub-commands, options and keys, as the program's own help lists them. `cmake --install` puts this where
# bash-completion finds it; in a checkout: source launch/completion.bash

_switchyard() {
  local program="$1" word="$2" words=""
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    words=$("$program" --help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p')
    mapfile -t COMPREPLY < <(compgen -W "$words help --help --version" -- "$word")
    return
  fi
  if [ "${COMP_WORDS[1]}" = help ]; then  # of a command, or of a section
    words=$({ "$program" --help; "$program" train --help; } 2>/dev/null |
      sed -n -e 's/^  \([a-z][a-z]*\) .*/\1/p' -e 's/^\[\([a-z0-9_]*\)\].*/\1/p' | sort -u)
    [ "$COMP_CWORD" -gt 2 ] || mapfile -t COMPREPLY < <(compgen -W "$words configuration" -- "$word")
    return
  fi
  [[ "$word" == -* ]] || return 0  # files and folders
  local helps=("${COMP_WORDS[1]}")
  case "${COMP_WORDS[1]}" in plan | samples | import | bench | study) helps+=(train) ;; esac  # they take every key, and list none
  # Options stand as --name or --name=VALUE, the keys of resume as name alone on a line; --section.key is a placeholder.
  case "${COMP_WORDS[1]}" in convert | new) helps+=(train) ;; esac  # ... or those of the data alone
  words=$(for command in "${helps[@]}"; do "$program" "$command" --help 2>/dev/null; done |
    sed -n -e 's/^  \([a-z_]*\.[a-z0-9_]*\)$/--\1/' -e 's/--/\n--/gp' |
    sed -n 's/^\(--[a-z][a-z0-9_-]*\(\.[a-z][a-z0-9_]*\)*\).*/\1=/p' | grep -v '\.key=$')
  case "${COMP_WORDS[1]}" in convert | new) words=$(grep -E -e '^--(data|csv|cifar|images|random|clusters)\.' -e '^--[a-z]+=$' <<<"$words") ;; esac
  mapfile -t COMPREPLY < <(compgen -W "$words --help" -- "$word" | sort -u)
  compopt -o nospace 2>/dev/null
}
complete -o default -F _switchyard switchyard
