#compdef test-ranch
_test_ranch() {
	local at='' word
	for word in "${(@)words[2,CURRENT-1]}"; do
		case "$at $word" in
		' gate') at=' gate' ;;
		' gate open') at=' gate open' ;;
		' gate close') at=' gate close' ;;
		' count') at=' count' ;;
		*) ;;
		esac
	done
	case "$at $words[CURRENT-1]" in
	' --config' | ' -c') _files; return ;;
	' gate --config' | ' gate -c') _files; return ;;
	' gate open --config' | ' gate open -c') _files; return ;;
	' gate close --config' | ' gate close -c') _files; return ;;
	' count --config' | ' count -c') _files; return ;;
	' count --kind') compadd -- cow calf; return ;;
	' count --limit') _message value; return ;;
	*) ;;
	esac
	local -a choices
	case "$at" in
	'') choices=(
		'gate:Gates.'
		'count:Count a herd.'
		'--config:Configuration file (YAML).'
		'--help:Show context-sensitive help.'
		'--version:Print the version and exit.'
	) ;;
	' gate') choices=(
		'open:Open a gate\: it stays open.'
		'close:Close the farmer’s gate.'
		'--config:Configuration file (YAML).'
		'--help:Show context-sensitive help.'
		'--version:Print the version and exit.'
	) ;;
	' gate open') choices=(
		'north'
		'south'
		'--config:Configuration file (YAML).'
		'--help:Show context-sensitive help.'
		'--version:Print the version and exit.'
	) ;;
	' gate close') choices=(
		'north'
		'south'
		'--config:Configuration file (YAML).'
		'--help:Show context-sensitive help.'
		'--version:Print the version and exit.'
	) ;;
	' count') choices=(
		'--config:Configuration file (YAML).'
		'--help:Show context-sensitive help.'
		'--kind:What to count.'
		'--limit:.5 at least.'
		'--version:Print the version and exit.'
	) ;;
	*) ;;
	esac
	_describe 'test-ranch' choices || _files
}
_test_ranch "$@"
