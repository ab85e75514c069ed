# Completion of muskox for fish: muskox completion fish | source
function __muskox_complete
    set -l words (commandline -opc)
    set -l now (commandline -ct)
    $words[1] complete -- $words "$now" 2>/dev/null
end
complete --command muskox --no-files --arguments '(__muskox_complete)'
