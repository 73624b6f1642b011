#!/bin/sh
# lock.sh VENV: prints what a virtual environment has, each package with the digest of the one file that pip takes for it.
# For cloud/training/locked.txt, after requirements.txt has changed: install that into a fresh environment first.
set -eu
venv=$1
part=$(mktemp -d)
trap 'rm -rf "$part"' EXIT
"$venv/bin/pip" freeze --disable-pip-version-check >"$part/have"
"$venv/bin/pip" install --quiet --disable-pip-version-check --dry-run --no-deps --ignore-installed \
	--report "$part/report" -r "$part/have"
"$venv/bin/python" - "$part/report" <<'PYTHON'
import json, sys
found = json.load(open(sys.argv[1]))["install"]
for p in sorted(found, key=lambda p: p["metadata"]["name"].lower()):
    m, digest = p["metadata"], p["download_info"]["archive_info"]["hashes"]["sha256"]
    print(f"{m['name']}=={m['version']} --hash=sha256:{digest}")
PYTHON
