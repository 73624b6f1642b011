"""Checks the syntax of every Bicep file below this folder: `make check` runs it. Types, names of properties and versions of
the API are checked only by Azure's own compiler, which the workflow deploy.yml runs."""
import pathlib
import sys

import pycep
from lark.exceptions import LarkError

files = sorted(pathlib.Path(__file__).parent.rglob("*.bicep"))
if len(files) < 5:
    sys.exit(f"syntax: only {len(files)} Bicep files were found")
parser, failed = pycep.BicepParser(), False
for file in files:
    try:
        parser.parse(text=file.read_text())
    except LarkError as e:
        print(f"{file}: {str(e).splitlines()[0]}", file=sys.stderr)
        failed = True
sys.exit(failed)
