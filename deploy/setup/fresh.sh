#!/usr/bin/env bash
# Rehearses what the README promises: in a fresh Debian 12 that has git, make and Go and nothing else, a clone of the
# committed tree runs `make demo ONCE=1` and `make test`. Run it with `make fresh` before a release and after every change
# of the set-up or of a pinned version: a machine that has been in use hides what is missing.
#
#   fresh.sh              both commands; the result is in build/fresh.txt, the output in FRESH_DIR
#   fresh.sh COMMAND...   one command of your own in the clone, such as: fresh.sh make quick
#
# Needs root, debootstrap (installed when it is missing), about 15 GB in FRESH_DIR (default /var/tmp/cattlecounter-fresh)
# and most of an hour. The system is made again on each run. Packages come from where this machine gets them: Debian's
# sources of apt, and the settings of apt, npm, pip and the Go tool. Mounts live in a namespace of their own, so nothing
# is left mounted, even after a crash.
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=${FRESH_DIR:-/var/tmp/cattlecounter-fresh}
say() { printf 'fresh: %s\n' "$*" >&2; }
[ "$(id -u)" = 0 ] || { say "run it as root: it makes a chroot"; exit 2; }
if [ -z "${FRESH_NAMESPACE:-}" ]; then
	FRESH_NAMESPACE=1 exec unshare --mount --pid --fork --kill-child deploy/setup/fresh.sh "$@"
fi
root=$dir/root

# sources prints a line of sources.list for each of Debian's own indexes that this machine uses.
sources() {
	# shellcheck disable=SC2016
	apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' | sort -u
}

make_system() {
	command -v debootstrap >/dev/null || apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
	local list release=bookworm mirror
	list=$(sources)
	mirror=$(awk -v r="$release" '$3 == r {print $2; exit}' <<<"$list")
	[ -n "$mirror" ] || { say "apt on this machine has no source of Debian $release"; exit 1; }
	rm -rf --one-file-system "$root"
	mkdir -p "$root"
	say "installing Debian $release with git and make"
	debootstrap --variant=minbase --include=ca-certificates,git,make "$release" "$root" "$mirror" >"$dir/debootstrap.log" || {
		tail -n 20 "$dir/debootstrap.log" >&2
		exit 1
	}
	printf '%s\n' "$list" >"$root/etc/apt/sources.list"
	cp -a "$(go env GOROOT)" "$root/usr/local/go"
}

# copy_settings copies how this machine reaches its package sources: name resolution, certificates, mirrors, proxies.
copy_settings() {
	local file
	mkdir -p "$root$HOME"
	cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
	cp -a /etc/ssl/. "$root/etc/ssl/"
	for file in /etc/apt/apt.conf.d/*proxy* /etc/apt/apt.conf.d/*registry* /etc/npmrc "$HOME/.npmrc" /etc/pip.conf \
		"${SSL_CERT_FILE:-}" "${NODE_EXTRA_CA_CERTS:-}"; do
		[ -f "$file" ] && install -D -m 0644 "$file" "$root$file"
	done
	return 0
}

# inside runs a command in the system, with no variable of this shell but those that name mirrors and certificates.
inside() {
	local keep
	mapfile -t keep < <(
		env | grep -iE '^(https?_proxy|no_proxy|ssl_cert_(file|dir)|node_extra_ca_certs|npm_config_[a-z_]+|pip_[a-z_]+|requests_ca_bundle|curl_ca_bundle|git_ssl_cainfo)='
		go env GOPROXY GOSUMDB GONOSUMDB | paste -d= <(printf 'GOPROXY\nGOSUMDB\nGONOSUMDB\n') -
	)
	env -i "${keep[@]}" HOME="$HOME" TERM=dumb PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/go/bin chroot "$root" "$@"
}

# rehearse NAME COMMAND... runs a command in the clone and adds a line to the result.
rehearse() {
	local name=$1 began=$SECONDS code=0
	shift
	say "$*"
	inside sh -c 'cd /src/cattlecounter && exec "$@"' sh "$@" >"$dir/$name.log" 2>&1 || code=$?
	printf '%-16s exit %d after %d min %02d s\n' "$*" "$code" $(((SECONDS - began) / 60)) $(((SECONDS - began) % 60)) | tee -a "$dir/result.txt"
	[ "$code" = 0 ] || tail -n 40 "$dir/$name.log" >&2
	return "$code"
}

mkdir -p "$dir"
[ -z "$(git status --porcelain)" ] || say "uncommitted changes are not part of the rehearsal"
make_system
mount --bind "$root" "$root" # network namespaces need a root that is a mount
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
copy_settings
git clone -q --no-local . "$root/src/cattlecounter"
printf '%s, commit %s, %s\n' "$(inside sh -c '. /etc/os-release; echo "$PRETTY_NAME"')" "$(git rev-parse --short HEAD)" "$(inside go version)" | tee "$dir/result.txt"
if [ $# -gt 0 ]; then
	rehearse command "$@"
	tail -n 20 "$dir/command.log"
	exit
fi
failed=0
rehearse demo make demo ONCE=1 || failed=1
rehearse test make test || failed=1
mkdir -p build
cp "$dir/result.txt" build/fresh.txt
exit "$failed"
