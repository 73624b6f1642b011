#!/usr/bin/env bash
# Looks for known vulnerabilities that the code of the product reaches: `make vulnerabilities`. The Go tool is the one
# that builds releases (the toolchain line of go.mod), because the standard library has vulnerabilities of its own.
#
#   vulnerabilities.sh              an unreachable database is said, and ends well
#   vulnerabilities.sh --required   an unreachable database is a failure (exit status 3)
#
# The database is the Go module golang.org/x/vulndb, which comes through the module proxy: a machine without access to
# vuln.go.dev checks as well. The newest version is fetched at most once a day; the last one serves where it cannot be.
# Exit status: 0 nothing found or not checked, 1 something found, 2 the check itself failed, 3 no database.
set -euo pipefail
cd "$(dirname "$0")/../.."
scanner=golang.org/x/vuln/cmd/govulncheck@v1.9.0
export GOTOOLCHAIN=auto
tools=build/tools
dir=build/vulnerabilities
say() { printf 'vulnerabilities: %s\n' "$*" >&2; }
mkdir -p "$tools" "$dir"

# unreachable WHY: ends the script.
unreachable() {
	say "NOT CHECKED: the database of vulnerabilities cannot be fetched through $(go env GOPROXY): $1"
	[ "${required:-}" = "" ] && exit 0
	exit 3
}
[ "${1:-}" != --required ] || required=yes

# install FILE MODULE@VERSION: builds a tool once per version.
install() {
	[ -x "$tools/$1" ] && [ "$(cat "$tools/$1.version" 2>/dev/null)" = "$2" ] && return 0
	say "building $2 (some minutes, once)"
	GOFLAGS='' GOBIN=$PWD/$tools go install "$2" 2>"$dir/install.log" || return 1
	printf '%s' "$2" >"$tools/$1.version"
}

# The newest version, asked for once a day.
if [ -z "$(find "$dir/version" -mmin -1440 2>/dev/null)" ]; then
	if version=$(go list -mod=mod -m -f "{{.Version}}" golang.org/x/vulndb@latest 2>"$dir/version.log"); then
		printf '%s' "$version" >"$dir/version"
	elif [ -s "$dir/version" ]; then
		say "cannot ask for a newer database; using the last one ($(tail -n 1 "$dir/version.log"))"
	else
		unreachable "$(tail -n 1 "$dir/version.log")"
	fi
fi
version=$(cat "$dir/version")
if [ ! -f "$dir/$version/index/db.json" ]; then
	go mod download "golang.org/x/vulndb@$version" 2>"$dir/download.log" ||
		unreachable "$(tail -n 1 "$dir/download.log")"
	# The program that makes the index belongs to the database; it seldom changes, so the built one is kept.
	[ -x "$tools/indexdb" ] || install indexdb "golang.org/x/vulndb/cmd/indexdb@$version" || unreachable "$(tail -n 1 "$dir/install.log")"
	rm -rf "$dir/v0."*
	"$tools/indexdb" -vulns "$(go env GOMODCACHE)/golang.org/x/vulndb@$version/data/osv" -out "$dir/$version" >/dev/null
fi
install govulncheck "$scanner" || unreachable "$(tail -n 1 "$dir/install.log")"

code=0
"$tools/govulncheck" -tags "${TAGS:-gocv_specific_modules,gocv_videoio}" -db "file://$PWD/$dir/$version" ./... >"$dir/report.txt" 2>&1 || code=$?
case $code in
0) say "none reaches the code ($(GOFLAGS='' go env GOVERSION), database $version)" ;;
3)
	cat "$dir/report.txt" >&2
	say "found; update the module in go.mod, or the toolchain line there for the standard library"
	exit 1
	;;
*)
	cat "$dir/report.txt" >&2
	say "govulncheck failed; its output is above"
	exit 2
	;;
esac
