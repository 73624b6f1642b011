# What the tests of the containers share. test.sh and profiles.sh read it: it is no program.
# shellcheck shell=bash
failed=0
ok() { printf 'ok    %s\n' "$*"; }
bad() { printf 'FAIL  %s\n' "$*"; failed=1; }
compose() { docker compose "$@"; }

# until_true SECONDS WHAT COMMAND...: waits for a command to succeed.
until_true() {
	local end=$((SECONDS + $1)) what=$2
	shift 2
	while ! "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || { bad "$what: not within the time"; return 1; }
		sleep 1
	done
	ok "$what"
}

container() { compose ps --all --quiet "$1"; }
healthy() { [ "$(docker inspect --format '{{.State.Health.Status}}' "$(container "$1")")" = healthy ]; }

# ask PATH: a request to the API with the token of a reader, in $token.
ask() { curl -fsS --max-time 10 -H "Authorization: Bearer $token" "http://127.0.0.1:$HTTP_PORT$1"; }

# fill_card puts a clip into the folder $CARD and its number of animals into $truth. CLIP=FILE.mp4 names a clip that
# herdsim has made.
fill_card() {
	rm -f "$CARD"/*
	if [ -n "${CLIP:-}" ]; then
		cp "$CLIP" "$CARD/herd.mp4"
		cp "${CLIP%.mp4}.json" "$CARD.json"
	else
		build/bin/herdsim clip --out "$CARD/herd.mp4" --seconds 4 --animals 30 --tilt 0 --herd loose
		mv "$CARD/herd.json" "$CARD.json"
	fi
	truth=$(python3 -c 'import json,sys; d=json.load(open(sys.argv[1])); print(d["unique_animals"])' "$CARD.json")
	rm "$CARD.json"
	chmod 644 "$CARD"/*
}

counted() { ask /api/v1/counts | python3 -c 'import json,sys; sys.exit(not json.load(sys.stdin)["items"])'; }
count() { ask /api/v1/counts | python3 -c 'import json,sys; print(json.load(sys.stdin)["items"][-1]["unique"])'; }

# check_count waits for the count of the clip in the card folder, puts it into $found and compares it with $truth.
check_count() {
	until_true 600 "the clip in the card folder is counted" counted || return 0
	found=$(count)
	if [ "$((found > truth ? found - truth : truth - found))" -le $((truth / 10 + 1)) ]; then
		ok "counted $found of $truth animals"
	else
		bad "counted $found of $truth animals"
	fi
}
