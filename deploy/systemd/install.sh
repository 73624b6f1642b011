#!/bin/sh
# Installs the edge agent on a system without dpkg, or into a system image. Run it again to update. It never changes the
# configuration, the token and the spool.
#
#   install.sh PROGRAM [--root DIR]     install or update; PROGRAM is edge-agent for this board
#   install.sh --rollback [--root DIR]  restore the program before the last update
#   install.sh --remove [--root DIR]    remove all but configuration, token, spool and user
set -eu
here=$(cd "$(dirname "$0")" && pwd)
user=cattlecounter
say() { printf 'install: %s\n' "$*" >&2; }
stop() { say "$*"; exit 1; }

action=install root='' program=''
while [ $# -gt 0 ]; do
	case "$1" in
	--root) [ $# -gt 1 ] || stop "--root needs a folder"; root=${2%/}; shift ;;
	--rollback) action=rollback ;;
	--remove) action=remove ;;
	-*) stop "unknown option $1" ;;
	*) program=$1 ;;
	esac
	shift
done
[ -z "$root" ] || [ -d "$root" ] || stop "$root is no folder"
[ -n "$root" ] || [ "$(id -u)" = 0 ] || stop "run it as root, or with --root DIR"

bin=$root/usr/bin/edge-agent
old=$root/usr/lib/cattlecounter/edge-agent.previous
unit=$root/usr/lib/systemd/system/edge-agent.service
wanted=$root/etc/systemd/system/multi-user.target.wants
etc=$root/etc/cattlecounter
[ ! -e "$root/var/lib/dpkg/info/edge-agent.list" ] || stop "the Debian package edge-agent is installed: use dpkg -i, or remove it first"

live() { [ -z "$root" ] && [ -d /run/systemd/system ]; }

# put replaces a file so that a power cut leaves the old file or the new one, never half of one.
put() { # FILE TARGET MODE
	mkdir -p "$(dirname "$2")"
	cp "$1" "$2.new"
	chmod "$3" "$2.new"
	sync "$2.new" 2>/dev/null || sync # sync of BusyBox takes no file
	mv "$2.new" "$2"
}

restart() {
	if live; then
		systemctl daemon-reload
		systemctl restart edge-agent.service
	fi
}

add_user() {
	grep -q "^$user:" "$root/etc/passwd" 2>/dev/null && return 0
	if command -v useradd >/dev/null; then
		useradd ${root:+--prefix "$root"} --system --user-group --no-create-home --home-dir /var/lib/cattlecounter --shell /usr/sbin/nologin "$user"
	else
		stop "create the system user $user, then run this script again"
	fi
}

case $action in
install)
	[ -f "$program" ] || stop "usage: install.sh PROGRAM, such as build/cross/edge-agent-arm64"
	sample=$here/../../edge/config/edge-agent.sample.yaml
	[ -f "$sample" ] || sample=$here/edge-agent.sample.yaml # the file stands beside the script in a release archive
	for f in "$here/edge-agent.service" "$sample"; do [ -f "$f" ] || stop "$f is missing"; done
	if [ -f "$bin" ] && ! cmp -s "$program" "$bin"; then
		put "$bin" "$old" 0755
	fi
	add_user
	put "$program" "$bin" 0755
	put "$here/edge-agent.service" "$unit" 0644
	put "$sample" "$root/usr/share/cattlecounter/edge-agent.sample.yaml" 0644
	mkdir -p "$etc" "$wanted"
	chown "root:$(sed -n "s/^$user:[^:]*:[0-9]*:\([0-9]*\):.*/\1/p" "$root/etc/passwd")" "$etc"
	chmod 0750 "$etc"
	ln -sf /usr/lib/systemd/system/edge-agent.service "$wanted/edge-agent.service"
	restart
	[ -e "$etc/edge-agent.yaml" ] || say "copy /usr/share/cattlecounter/edge-agent.sample.yaml to /etc/cattlecounter/edge-agent.yaml, fill it in, then: systemctl start edge-agent && edge-agent doctor"
	;;
rollback)
	[ -f "$old" ] || stop "no previous program to restore"
	put "$bin" "$bin.undone" 0755
	put "$old" "$bin" 0755
	mv "$bin.undone" "$old"
	restart
	;;
remove)
	if live; then systemctl stop edge-agent.service; fi
	rm -f "$wanted/edge-agent.service" "$unit" "$bin" "$old" "$root/usr/share/cattlecounter/edge-agent.sample.yaml"
	if live; then systemctl daemon-reload; fi
	say "configuration and spool stay in /etc/cattlecounter and /var/lib/cattlecounter"
	;;
esac
