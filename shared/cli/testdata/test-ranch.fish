# fish completion for test-ranch
function __test_ranch_at
	set -l at ''
	for word in (commandline -opc)[2..-1]
		switch "$at $word"
			case ' gate'
				set at ' gate'
			case ' gate open'
				set at ' gate open'
			case ' gate close'
				set at ' gate close'
			case ' count'
				set at ' count'
		end
	end
	echo $at
end
complete -c test-ranch -n 'test "$(__test_ranch_at)" = ""' -f -a gate -d 'Gates.'
complete -c test-ranch -n 'test "$(__test_ranch_at)" = ""' -f -a count -d 'Count a herd.'
complete -c test-ranch -n 'test "$(__test_ranch_at)" = ""' -l config -s c -r -F -d 'Configuration file (YAML).'
complete -c test-ranch -n 'test "$(__test_ranch_at)" = ""' -l help -s h -d 'Show context-sensitive help.'
complete -c test-ranch -n 'test "$(__test_ranch_at)" = ""' -l version -d 'Print the version and exit.'
complete -c test-ranch -n 'test "$(__test_ranch_at)" = " gate"' -f -a open -d 'Open a gate: it stays open.'
complete -c test-ranch -n 'test "$(__test_ranch_at)" = " gate"' -f -a close -d 'Close the farmer’s gate.'
complete -c test-ranch -n 'test "$(__test_ranch_at)" = " gate"' -l config -s c -r -F -d 'Configuration file (YAML).'
complete -c test-ranch -n 'test "$(__test_ranch_at)" = " gate"' -l help -s h -d 'Show context-sensitive help.'
complete -c test-ranch -n 'test "$(__test_ranch_at)" = " gate"' -l version -d 'Print the version and exit.'
complete -c test-ranch -n 'test "$(__test_ranch_at)" = " gate open"' -f -a 'north south'
complete -c test-ranch -n 'test "$(__test_ranch_at)" = " gate open"' -l config -s c -r -F -d 'Configuration file (YAML).'
complete -c test-ranch -n 'test "$(__test_ranch_at)" = " gate open"' -l help -s h -d 'Show context-sensitive help.'
complete -c test-ranch -n 'test "$(__test_ranch_at)" = " gate open"' -l version -d 'Print the version and exit.'
complete -c test-ranch -n 'test "$(__test_ranch_at)" = " gate close"' -f -a 'north south'
complete -c test-ranch -n 'test "$(__test_ranch_at)" = " gate close"' -l config -s c -r -F -d 'Configuration file (YAML).'
complete -c test-ranch -n 'test "$(__test_ranch_at)" = " gate close"' -l help -s h -d 'Show context-sensitive help.'
complete -c test-ranch -n 'test "$(__test_ranch_at)" = " gate close"' -l version -d 'Print the version and exit.'
complete -c test-ranch -n 'test "$(__test_ranch_at)" = " count"' -l config -s c -r -F -d 'Configuration file (YAML).'
complete -c test-ranch -n 'test "$(__test_ranch_at)" = " count"' -l help -s h -d 'Show context-sensitive help.'
complete -c test-ranch -n 'test "$(__test_ranch_at)" = " count"' -l kind -x -a 'cow calf' -d 'What to count.'
complete -c test-ranch -n 'test "$(__test_ranch_at)" = " count"' -l limit -x -d '.5 at least.'
complete -c test-ranch -n 'test "$(__test_ranch_at)" = " count"' -l version -d 'Print the version and exit.'
