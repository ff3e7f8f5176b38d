/**
 * What each shell runs at a tab: it asks `granary completion SHELL -- WORDS`, which prints a candidate a line, a tab
 * and what it is, and last `:files`, `:folders` or `:nothing`: what the shell itself is to add.
 */
export const completionScripts = {
  // Bash cuts words at `=` and `:` too, and puts in only what stands behind the last of them.
  bash: `_granary() {
  local line=\${COMP_LINE:0:COMP_POINT} current last one cut
  local -a words reply
  IFS=$' \\t' read -ra words <<< "$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  current=\${words[-1]}
  mapfile -t reply < <(granary completion bash -- "\${words[@]:1}" 2> /dev/null)
  COMPREPLY=()
  [[ \${#reply[@]} -eq 0 ]] && return
  last=\${reply[-1]}
  unset 'reply[-1]'
  cut=\${current%"\${current##*[:=]}"}
  for one in "\${reply[@]}"; do
    one=\${one%%$'\\t'*}
    COMPREPLY+=("\${one#"$cut"}")
  done
  case $last in
    :files) compopt -o filenames; mapfile -t -O "\${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "\${current#"$cut"}") ;;
    :folders) compopt -o filenames; mapfile -t -O "\${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "\${current#"$cut"}") ;;
  esac
}
complete -F _granary granary
`,
  zsh: `#compdef granary
_granary() {
  local -a reply candidates
  local last line
  reply=("\${(@f)$(granary completion zsh -- "\${(@)words[2,CURRENT]}" 2> /dev/null)}")
  last=$reply[-1]
  reply[-1]=()
  for line in $reply; do
    candidates+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  (( $#candidates )) && _describe granary candidates
  case $last in
    :files) _files ;;
    :folders) _files -/ ;;
  esac
}
if [[ $funcstack[1] == _granary ]]; then
  _granary "$@"
else
  compdef _granary granary
fi
`,
  fish: `function __granary_complete
  set -l words (commandline -opc) "$(commandline -ct)"
  set -l reply (granary completion fish -- $words[2..] 2> /dev/null)
  for line in $reply
    switch $line
      case ':files'
        __fish_complete_path (commandline -ct)
      case ':folders'
        __fish_complete_directories (commandline -ct) ''
      case ':*'
      case '*'
        echo $line
    end
  end
end
complete -c granary -f -a '(__granary_complete)'
`,
} as const;
