#!/usr/bin/env bash
# Installs ONNX Runtime with its GPU providers and the CUDA libraries into a folder (about 2.5 GB), for a worker with
# provider cuda or tensorrt. Needs Python 3.11 with pip.
#
#   libs.sh FOLDER
#
# FOLDER/wheels.txt has the digest and the name of each wheel, for the SBOM of the image.
# It installs the libraries of TensorRT only when TENSORRT_INDEX is set to the address of NVIDIA's package index.
set -euo pipefail
to=${1:?usage: libs.sh FOLDER}
here=$(cd "$(dirname "$0")" && pwd)
tensorrt=tensorrt-cu13-libs==10.16.1.11
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$to"
pip=(python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work")
"${pip[@]}" --require-hashes -r "$here/cuda.txt"
[ -z "${TENSORRT_INDEX:-}" ] || "${pip[@]}" --extra-index-url "$TENSORRT_INDEX" "$tensorrt"
(cd "$work" && sha256sum -- *.whl) >"$to/wheels.txt"
python3 - "$work" "$to" <<'PY'
import pathlib, shutil, sys, zipfile

work, to = map(pathlib.Path, sys.argv[1:])
for wheel in work.glob("*.whl"):
    with zipfile.ZipFile(wheel) as z:
        for name in z.namelist():
            file = pathlib.PurePath(name).name
            if ".so" in file and "pybind" not in file:
                with z.open(name) as src, open(to / file, "wb") as dst:
                    shutil.copyfileobj(src, dst)
runtime = next(to.glob("libonnxruntime.so.1.*"))
link = to / "libonnxruntime.so.1"
link.unlink(missing_ok=True)
link.symlink_to(runtime.name)
PY
