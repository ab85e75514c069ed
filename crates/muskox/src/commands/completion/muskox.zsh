#compdef muskox
# Completion of muskox for zsh: source <(muskox completion zsh), after compinit
_muskox() {
    local -a names shown dirs
    local line name help nothing=1
    for line in "${(@f)$(${words[1]} complete -- "${(@)words[1,CURRENT]}" 2>/dev/null)}"; do
        [[ -z $line ]] && continue
        name=${line%%$'\t'*}
        help=${line#*$'\t'}
        if [[ $name == */ ]]; then
            dirs+=("$name")
        else
            names+=("$name")
            shown+=("$name${help:+  -- $help}")
        fi
    done
    (($#names)) && compadd -l -d shown -a names && nothing=0
    (($#dirs)) && compadd -S '' -a dirs && nothing=0
    return nothing
}
if [[ $funcstack[1] == _muskox ]]; then _muskox "$@"; else compdef _muskox muskox; fi
