#!/usr/bin/env bash
# Prints the notes of a release: the section of its version in CHANGELOG.md. A version without a section is an error.
#   notes.sh 1.2.3 [FILE]
set -euo pipefail
cd "$(dirname "$0")/../.."
version=${1:?the version, such as 1.2.3} file=${2:-CHANGELOG.md}
notes=$(awk -v want="$version" '
	/^## / { on = ($2 == want || $2 == "[" want "]"); next }
	on { print }' "$file" | sed -e '/./,$!d')
[ -n "$notes" ] || { echo "notes: $file has no section \"## $version\"; move the lines of Unreleased there" >&2; exit 1; }
printf '%s\n' "$notes"
