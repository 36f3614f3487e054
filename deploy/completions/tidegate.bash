# Generated from "tidegate --help" by tools/manual.py: do not edit, run "make docs".
# SPDX-License-Identifier: MIT

_tidegate()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local options= files= values=
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        COMPREPLY=($(compgen -W "serve check sim load explain drill --help --version" -- "$cur"))
        return
    fi
    case ${COMP_WORDS[1]} in
    serve)
        options="--help"
        ;;
    check)
        options="--no-failover --json --print --quiet --schema --help"
        ;;
    sim)
        options="--listen --tls-out --slots --account-limit --ttft --prefill --gap --tokens --keepalive --loading --balance --fault --fault-after --timeline --seed --help"
        values=" --listen --slots --account-limit --ttft --prefill --gap --tokens --keepalive --loading --balance --fault --fault-after --seed "
        files=" --tls-out --timeline "
        ;;
    load)
        options="--rate --arrivals --trace --speed --scale --from --duration --limit --model --prompt --answer --prompt-max --length-field --set --streams --shared --leave --class --key-env --header --retry --over-limit --connections --connect-timeout --first-timeout --gap-timeout --timeout --ca-file --seed --need --json --quiet --dry-run --help"
        values=" --rate --arrivals --speed --scale --from --duration --limit --model --prompt --answer --prompt-max --length-field --set --streams --shared --leave --class --key-env --header --retry --over-limit --connections --connect-timeout --first-timeout --gap-timeout --timeout --seed --need "
        files=" --trace --ca-file --json "
        ;;
    explain)
        options="--admin --ca --json --help"
        values=" --admin "
        files=" --ca "
        ;;
    drill)
        options="--list --seed --json --real --help"
        values=" --seed "
        ;;
    *) return ;;
    esac
    if [[ -n $files && $files == *" $prev "* ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    elif [[ -n $values && $values == *" $prev "* ]]; then
        return
    elif [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$cur"))
    elif [[ ${COMP_WORDS[1]} == @(serve|check) ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    fi
}
complete -o filenames -F _tidegate tidegate
