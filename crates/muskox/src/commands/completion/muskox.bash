# Completion of muskox for bash 4.3 or later: source <(muskox completion bash)
_muskox() {
    local line=$COMP_LINE words=() word gap i
    # Readline breaks words at : and = as well; here they are whole again.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        gap=${line%%[![:space:]]*}
        line=${line#"$gap"}
        line=${line#"$word"}
        if ((i == 0)) || [[ -n $gap ]]; then words+=("$word"); else words[-1]+=$word; fi
    done
    # What readline does not replace, since it stands before such a break.
    local now=${COMP_WORDS[COMP_CWORD]}
    [[ $now == [:=] ]] && now=
    local head=${words[-1]%"$now"}
    COMPREPLY=()
    while IFS=$'\t' read -r word _; do
        word=${word#"$head"}
        COMPREPLY+=("${word// /\\ }")
    done < <("${words[0]}" complete -- "${words[@]}" 2>/dev/null)
    # A directory is rarely the end.
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == */ ]]; then compopt -o nospace 2>/dev/null; fi
}
complete -F _muskox muskox
