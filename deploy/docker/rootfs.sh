#!/bin/sh
# Makes the files of an image that is built from nothing: CA certificates, the user, /tmp, writable folders, and for
# programs that need them their shared libraries. It runs in a stage of the Dockerfiles, in Debian as root.
#
#   rootfs.sh ROOT FOLDER... [-- PROGRAM_OR_LIBRARY...]
#
# Each library comes with an entry in var/lib/dpkg/status.d, as in distroless images, so that a scanner knows the
# package and its version.
set -eu
root=$1
shift
mkdir -p "$root/etc/ssl/certs" "$root/var/lib/dpkg/status.d" "$root/tmp"
chmod 1777 "$root/tmp"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
echo 'cattle:x:10001:10001:CattleCounter:/nonexistent:/sbin/nologin' >"$root/etc/passwd"
echo 'cattle:x:10001:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
cp /etc/os-release "$root/etc/"

# package FILE: records the Debian package that owns a file.
package() {
	# /lib is a link to /usr/lib, and a package may name its files by either.
	name=$({ dpkg -S "$1" || dpkg -S "${1#/usr}"; } 2>/dev/null | head -n 1 | cut -d: -f1)
	[ -n "$name" ] || { echo "rootfs: no Debian package owns $1" >&2; exit 1; }
	[ -f "$root/var/lib/dpkg/status.d/$name" ] || dpkg -s "$name" >"$root/var/lib/dpkg/status.d/$name"
}
package /usr/sbin/update-ca-certificates

while [ $# -gt 0 ] && [ "$1" != -- ]; do
	mkdir -p "$root/$1"
	chown 10001:10001 "$root/$1"
	shift
done
[ $# -gt 0 ] || exit 0
shift

if ldd "$@" | grep 'not found' >&2; then
	echo "rootfs: the libraries above are missing; add their packages to the Dockerfile" >&2
	exit 1
fi
# Programs name the loader by a path below /lib64, so every file keeps its path; links to it become files.
ldd "$@" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (0x.*/\1/p' | sort -u | while read -r library; do
	real=$(readlink -f "$library")
	mkdir -p "$root$(dirname "$library")"
	cp "$real" "$root$library"
	package "$real"
done
