#!/usr/bin/env bash
# Uploads a clip to a running cloud-api by tus and waits for its count.
#   smoke.sh URL CLIP COUNT    COUNT is what the clip shows; a tenth more or less passes
# SMOKE_TOKEN is the token of a device. Every run uploads the same clip under a name of its own; the ledger knows the
# content and answers with the count of the first one, so an empty comment is added to the file to make it new.
set -euo pipefail
url=${1%/} clip=$2 want=$3
: "${SMOKE_TOKEN:?the token of a device}"
say() { printf 'smoke: %s\n' "$*" >&2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# A box "free" at the end of an MP4 is skipped by every reader.
{ cat "$clip"; printf '\0\0\0\050free%-32s' "$(date +%s%N)-$$"; } >"$dir/clip.mp4"
size=$(stat -c %s "$dir/clip.mp4") sum=$(sha256sum "$dir/clip.mp4" | cut -d' ' -f1)
id=$(python3 -c 'import os,time; a="0123456789ABCDEFGHJKMNPQRSTVWXYZ"; n=(int(time.time()*1000)<<80)|int.from_bytes(os.urandom(10)); print("".join(a[(n>>5*i)&31] for i in range(25,-1,-1)))')
b64() { printf %s "$1" | base64 -w0; }
# The token goes in by a file, so that it is not in the list of processes.
printf 'header = "Authorization: Bearer %s"\n' "$SMOKE_TOKEN" >"$dir/curl"
ask() { curl -fsS --config "$dir/curl" --max-time 120 --retry 3 "$@"; }
ask -D "$dir/head" -o /dev/null -X POST -H 'Tus-Resumable: 1.0.0' -H "Upload-Length: $size" -H "Upload-Metadata: filename $(b64 smoke.mp4),filetype $(b64 video/mp4),footage $(b64 "$id"),sha256 $(b64 "$sum"),captured $(b64 "$(date -u +%FT%TZ)"),kind $(b64 video)" "$url/files/"
place=$(tr -d '\r' <"$dir/head" | sed -n 's/^[Ll]ocation: //p')
[ -n "$place" ] || { say "the server named no place for the upload"; exit 1; }
case $place in http*) ;; *) place=$url$place ;; esac
ask -o /dev/null -X PATCH -H 'Tus-Resumable: 1.0.0' -H 'Upload-Offset: 0' -H 'Content-Type: application/offset+octet-stream' --data-binary "@$dir/clip.mp4" "$place"
say "uploaded $size bytes as $id"
for _ in $(seq 1 "${SMOKE_TRIES:-120}"); do
	# State and count, "-" without one.
	read -r state count < <(ask "$url/api/v1/footage/$id" | python3 -c '
import json, sys
d = json.load(sys.stdin)
print((d.get("job") or {}).get("state", "?"), (d.get("count") or {}).get("unique", "-"))')
	case $state in
	failed | poisoned | canceled) say "the job is $state"; exit 1 ;;
	esac
	if [ "$count" != - ]; then
		margin=$((want / 10 + 1))
		if [ "$count" -lt $((want - margin)) ] || [ "$count" -gt $((want + margin)) ]; then
			say "counted $count animals, expected $want"
			exit 1
		fi
		say "counted $count of $want animals"
		exit 0
	fi
	sleep "${SMOKE_PAUSE:-5}"
done
say "no count after ${SMOKE_TRIES:-120} tries; the job is $state"
exit 1
