#!/usr/bin/env bash
# Installs what building, running and testing CattleCounter needs. It skips what is already installed, so it is safe to
# run again.
#
#   setup.sh page    Node and the page
#   setup.sh build   OpenCV, FFmpeg and seccomp headers, compiler and ONNX Runtime as well
#   setup.sh test    mosquitto, PostgreSQL, iproute2, curl, Chromium, ffmpeg, promtool and Azurite as well
#   setup.sh lint    the linters as well
#   setup.sh pagechecks  Firefox, Lighthouse and the linters of OpenAPI, beside Node and the page
#   setup.sh train   the Python environment of the training code (about 6 GB), in build/train/venv
#   setup.sh art     models, textures and pictures of ground for training (3.1 GB to fetch), in build/train
#   setup.sh peers   the trackers that the worker is compared with, in build/peers/venv
set -euo pipefail
cd "$(dirname "$0")/../.."
build=build
say() { printf 'setup: %s\n' "$*" >&2; }

# Debian packages: those of Debian 12, whose versions change only for faults and vulnerabilities. None is pinned to an
# exact version: Debian removes the one before with each point release, and a pinned set-up would end there. What must be
# exact has a digest: Go modules (go.sum), npm with ONNX Runtime and Azurite (package-lock.json), and Python but for the
# exceptions in locked_test.go. ---------------------------------------------------------------------------------
add_packages() { # package names
	if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
		say "these Debian packages are missing: $*"
		say "run as root, or: sudo apt-get install -y --no-install-recommends $*"
		exit 1
	fi
	say "installing $* (libopencv-dev alone takes a few minutes)"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >"$build/apt.log" 2>&1 || {
		tail -n 20 "$build/apt.log" >&2
		say "apt-get failed; its whole output is in $build/apt.log"
		exit 1
	}
}

need_python() {
	python3 -c 'import ensurepip, venv' 2>/dev/null || add_packages python3 python3-venv
}

need_packages() { # page, pagechecks, build, test or lint: finds missing packages by their commands or .pc files
	local missing=()
	command -v npm >/dev/null || missing+=(nodejs npm)
	if [ "$1" = pagechecks ]; then
		command -v chromium >/dev/null || missing+=(chromium)
		command -v firefox-esr >/dev/null || missing+=(firefox-esr)
	fi
	if [ "$1" = page ] || [ "$1" = pagechecks ]; then
		[ ${#missing[@]} = 0 ] || add_packages "${missing[@]}"
		return 0
	fi
	pkg-config --exists opencv4 2>/dev/null || missing+=(libopencv-dev)
	pkg-config --exists libavformat libavcodec libavutil libswscale 2>/dev/null ||
		missing+=(libavformat-dev libavcodec-dev libavutil-dev libswscale-dev)
	pkg-config --exists libseccomp 2>/dev/null || missing+=(libseccomp-dev)
	command -v g++ >/dev/null || missing+=(g++)
	command -v pkg-config >/dev/null || missing+=(pkg-config)
	if [ "$1" != build ]; then
		command -v mosquitto >/dev/null || [ -x /usr/sbin/mosquitto ] || missing+=(mosquitto)
		compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
		command -v ip >/dev/null && command -v tc >/dev/null || missing+=(iproute2)
		command -v chromium >/dev/null || missing+=(chromium)
		command -v ffmpeg >/dev/null || missing+=(ffmpeg)
		command -v ogrinfo >/dev/null || missing+=(gdal-bin)
		command -v pdftotext >/dev/null || missing+=(poppler-utils)
		command -v curl >/dev/null || missing+=(curl)
	fi
	[ ${#missing[@]} = 0 ] && return 0
	add_packages "${missing[@]}"
}

# ONNX Runtime: the shared library of the npm package, checked against the digest in package-lock.json -----------
onnxruntime() {
	local arch lib=$build/onnxruntime/libonnxruntime.so.1 stamp=$build/onnxruntime/.lock
	case "$(uname -m)" in
	x86_64) arch=x64 ;;
	aarch64) arch=arm64 ;;
	*) say "the npm package has no ONNX Runtime for $(uname -m); set ONNXRUNTIME_LIB" && return 0 ;;
	esac
	[ -f "$lib" ] && cmp -s deploy/setup/onnxruntime/package-lock.json "$stamp" && return 0
	say "fetching ONNX Runtime"
	rm -rf "$build/onnxruntime" && mkdir -p "$build/onnxruntime/npm"
	cp deploy/setup/onnxruntime/package.json deploy/setup/onnxruntime/package-lock.json deploy/setup/onnxruntime/.npmrc "$build/onnxruntime/npm/"
	(cd "$build/onnxruntime/npm" && npm ci --ignore-scripts --no-audit --no-fund --silent)
	cp "$build"/onnxruntime/npm/node_modules/onnxruntime-node/bin/napi-v*/linux/$arch/libonnxruntime.so.1 "$lib"
	rm -rf "$build/onnxruntime/npm"
	cp deploy/setup/onnxruntime/package-lock.json "$stamp"
}

# promtool: unpacked, not installed, because Debian's package of it starts a Prometheus on this machine ------------
promtool() {
	local out=$build/tools/promtool parts=$build/tools/prometheus.part
	if [ -n "$(type -P promtool)" ] || [ -x "$out" ]; then return 0; fi # type -P: not this function
	if ! command -v apt-get >/dev/null; then
		say "promtool is missing: install Prometheus, so that promtool is in PATH"
		exit 1
	fi
	say "fetching promtool (19 MB)"
	rm -rf "$parts"
	mkdir -p "$parts"
	# As for the models below: apt warns as root, and checks the package's signature.
	local get='cd "$1" && apt-get -qq download prometheus 2>/dev/null'
	sh -c "$get" sh "$parts" || { apt-get update -qq && sh -c "$get" sh "$parts"; } || {
		say "apt-get cannot fetch prometheus: run apt-get update, and try it by hand: apt-get download prometheus"
		exit 1
	}
	dpkg-deb --fsys-tarfile "$parts"/prometheus_*.deb | tar -xO ./usr/bin/promtool >"$parts/promtool"
	chmod 755 "$parts/promtool"
	mv "$parts/promtool" "$out"
	rm -r "$parts"
}

# Azurite: Azure Storage on this machine, for the tests ------------------------------------------------------
azurite() {
	local dir=$build/azurite
	[ -f "$dir/node_modules/azurite/package.json" ] && cmp -s deploy/setup/azurite/package-lock.json "$dir/package-lock.json" && return 0
	say "fetching Azurite (about 190 MB)"
	rm -rf "$dir" && mkdir -p "$dir"
	cp deploy/setup/azurite/package.json deploy/setup/azurite/package-lock.json deploy/setup/azurite/.npmrc "$dir/"
	(cd "$dir" && npm ci --ignore-scripts --no-audit --no-fund --silent)
}

# What checks the page: Firefox over WebDriver BiDi, Lighthouse, and the linters of OpenAPI -----------------------
page_checks() {
	local dir=$build/pagechecks from=deploy/setup/pagechecks
	if ! [ -d "$dir/node_modules/lighthouse" ] || ! cmp -s $from/package-lock.json "$dir/package-lock.json"; then
		say "fetching the checks of the page (about 300 MB)"
		rm -rf "$dir" && mkdir -p "$dir"
		cp $from/package.json $from/package-lock.json $from/.npmrc "$dir/"
		(cd "$dir" && npm ci --ignore-scripts --no-audit --no-fund --silent)
	fi
	cp $from/*.mjs $from/*.yaml "$dir/"
}

# The page ---------------------------------------------------------------------
dashboard() {
	local stamp=$build/dashboard.stamp sum
	sum=$(cd cloud/server/dashboard && find . -path ./node_modules -prune -o -path ./dist -prune -o -type f -print | LC_ALL=C sort | xargs sha256sum | sha256sum)
	[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ] && [ -f cloud/server/dashboard/dist/index.html ] &&
		[ -d cloud/server/dashboard/node_modules ] && return 0
	say "building the page"
	(cd cloud/server/dashboard && npm ci --no-audit --no-fund --silent && npm run --silent build)
	printf '%s' "$sum" >"$stamp"
}

linter() {
	local version=$1 bin=$build/tools/golangci-lint
	[ -x "$bin" ] && "$bin" version 2>/dev/null | grep -q "version ${version#v}" && return 0
	say "building golangci-lint $version (some minutes, once)"
	mkdir -p "$build/tools"
	GOBIN=$PWD/$build/tools go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$version"
}

# Linters of workflows and Bicep: actionlint is a Go program, zizmor a Python package with a program in it, pycep-parser a
# grammar of Bicep.
workflow_linters() {
	local actionlint=$1 zizmor=$2 pycep=$3
	if ! "$build/tools/actionlint" --version 2>/dev/null | grep -qF "${actionlint#v}"; then
		say "building actionlint $actionlint"
		GOBIN=$PWD/$build/tools GOFLAGS='' go install "github.com/rhysd/actionlint/cmd/actionlint@$actionlint"
	fi
	if ! "$build/tools/venv/bin/zizmor" --version 2>/dev/null | grep -qF "$zizmor" ||
		! "$build/tools/venv/bin/python" -c "from importlib.metadata import version; exit(version('pycep-parser') != '$pycep')" 2>/dev/null; then
		need_python
		say "installing zizmor $zizmor and pycep-parser $pycep"
		python3 -m venv "$build/tools/venv"
		"$build/tools/venv/bin/pip" install --quiet --disable-pip-version-check "zizmor==$zizmor" "pycep-parser==$pycep"
	fi
}

# checkov looks at Bicep, images, manifests and workflows. It wants exact versions of many packages, so it has an
# environment of its own.
policies() {
	local version=$1 venv=$build/tools/checkov
	[ "$("$venv/bin/checkov" --version 2>/dev/null)" = "$version" ] && return 0
	need_python
	say "installing checkov $version (about 290 MB, once)"
	rm -rf "$venv"
	python3 -m venv "$venv"
	"$venv/bin/pip" install --quiet --disable-pip-version-check "checkov==$version"
}

# Training: a separate virtual environment, created again when the pinned list changes ------------------------
training() {
	local venv=$build/train/venv list=cloud/training/requirements.txt locked=cloud/training/locked.txt
	[ -x "$venv/bin/python" ] && cmp -s "$list" "$venv/requirements.txt" && cmp -s "$locked" "$venv/locked.txt" && return 0
	say "installing what training needs (some minutes and about 6 GB, once)"
	rm -rf "$venv"
	python3 -m venv "$venv"
	case "$(uname -sm) $(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')" in
	"Linux x86_64 3.11")
		"$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$locked"
		;;
	*)
		say "the digests of $locked are for Linux amd64 with Python 3.11; here only the versions are compared"
		"$venv/bin/pip" install --quiet --disable-pip-version-check -r "$list"
		;;
	esac
	cp "$list" "$venv/requirements.txt"
	cp "$locked" "$venv/locked.txt"
}

# Art for training: parts of Debian packages that are unpacked, not installed, and of a Python package --------------
debian_part() { # package, folder: fetches the package and calls the function part_PACKAGE in a draft of the folder
	local package=$1 out=$build/train/$2 parts
	[ -d "$out" ] && return 0
	if ! command -v apt-get >/dev/null; then
		say "pictures for training are in the Debian package $package, and this machine has no apt-get"
		exit 1
	fi
	say "fetching the package $package (once)"
	parts=$out.part
	rm -rf "$parts"
	mkdir -p "$parts"
	# apt gives its downloads to another user, who may not enter this folder; as root it then goes on with a warning.
	(cd "$parts" && apt-get -qq download "$package" 2>/dev/null) || {
		say "apt-get cannot fetch $package: run apt-get update, and try it by hand: apt-get download $package"
		exit 1
	}
	dpkg-deb -x "$parts/$package"_*.deb "$parts/x"
	rm "$parts/$package"_*.deb
	"part_$package" "$parts"
	mv "$parts/x/usr/share/doc/$package/copyright" "$parts/copyright"
	rm -rf "$parts/x"
	mv "$parts" "$out"
}

unzip_parts() { # archive, folder, beginnings of names: all but .xmb files, a cache of the game
	python3 - "$@" <<-'PYTHON'
		import sys, zipfile
		archive, folder, *keep = sys.argv[1:]
		with zipfile.ZipFile(archive) as whole:
		    whole.extractall(folder, [n for n in whole.namelist() if n.startswith(tuple(keep)) and not n.endswith((".xmb", "/"))])
	PYTHON
}

part_0ad-data() {
	unzip_parts "$1/x/usr/share/games/0ad/mods/public/public.zip" "$1" art/actors/ art/animation/quadraped/ art/meshes/gaia/ \
		art/meshes/props/ art/meshes/skeletal/ art/textures/skins/ art/textures/terrain/ art/variants/quadraped/
}

part_ufoai-textures() {
	unzip_parts "$1/x/usr/share/games/ufoai/base/0textures.pk3" "$1" textures/tex_nature/ textures/tex_roofs/ textures/tex_streets/
}

part_flightgear-data-base() { mv "$1/x/usr/share/games/flightgear/Textures/Terrain" "$1/Terrain"; }

training_art() {
	debian_part 0ad-data 0ad
	debian_part ufoai-textures ufoai
	debian_part flightgear-data-base flightgear
	local out=$build/train/deepforest parts=$build/train/deepforest.part
	[ -d "$out" ] && return 0
	say "fetching deepforest (20 MB, once)"
	rm -rf "$parts"
	mkdir -p "$parts"
	echo 'deepforest==2.1.0 --hash=sha256:8c2798d8e9be7f0004b194fe207b76c1d9fff6e711b3db67b9508dcd5d00ae54' >"$parts/list"
	"$build/train/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --dest "$parts" --require-hashes -r "$parts/list"
	unzip_parts "$parts"/deepforest-*.whl "$parts" deepforest/data/
	rm "$parts"/deepforest-*.whl
	mv "$parts/deepforest/data" "$out"
	rm -r "$parts"
}

# Peers: exact files by their digests --------------------------------------------------------------------------
peers() {
	local venv=$build/peers/venv list=deploy/bench/peers/requirements.txt
	[ -x "$venv/bin/python" ] && cmp -s "$list" "$venv/requirements.txt" && return 0
	say "installing the peers (a minute, once)"
	rm -rf "$venv"
	python3 -m venv "$venv"
	"$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$list"
	cp "$list" "$venv/requirements.txt"
}

what=${1:-build}
mkdir -p "$build"
if [ "$what" = train ]; then
	need_python
	training
	exit 0
fi
if [ "$what" = art ]; then
	need_python
	training
	training_art
	exit 0
fi
if [ "$what" = peers ]; then
	need_python
	peers
	exit 0
fi
need_packages "$what"
dashboard
[ "$what" != page ] || exit 0
if [ "$what" = pagechecks ]; then
	page_checks
	exit 0
fi
onnxruntime
if [ "$what" = test ]; then
	azurite
	promtool
fi
if [ "$what" = lint ]; then
	linter v2.15.0
	workflow_linters v1.7.12 1.32.0 0.7.0
	policies 3.3.30
fi
exit 0
