# bash completion for test-ranch
_test_ranch() {
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
	local at='' word
	for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		case "$at $word" in
		' gate') at=' gate' ;;
		' gate open') at=' gate open' ;;
		' gate close') at=' gate close' ;;
		' count') at=' count' ;;
		*) ;;
		esac
	done
	case "$at $previous" in
	' --config' | ' -c') mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
	' gate --config' | ' gate -c') mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
	' gate open --config' | ' gate open -c') mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
	' gate close --config' | ' gate close -c') mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
	' count --config' | ' count -c') mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
	' count --kind') mapfile -t COMPREPLY < <(compgen -W 'cow calf' -- "$current"); return ;;
	' count --limit') COMPREPLY=(); return ;;
	*) ;;
	esac
	case "$at" in
	'') mapfile -t COMPREPLY < <(compgen -W 'gate count --config --help --version' -- "$current") ;;
	' gate') mapfile -t COMPREPLY < <(compgen -W 'open close --config --help --version' -- "$current") ;;
	' gate open') mapfile -t COMPREPLY < <(compgen -W 'north south --config --help --version' -- "$current") ;;
	' gate close') mapfile -t COMPREPLY < <(compgen -W 'north south --config --help --version' -- "$current") ;;
	' count') mapfile -t COMPREPLY < <(compgen -W '--config --help --kind --limit --version' -- "$current") ;;
	*) ;;
	esac
}
complete -o default -F _test_ranch test-ranch
