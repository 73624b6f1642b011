#!/usr/bin/env bash
# Asks the npm registry for known vulnerabilities of what the page is made of and built with: `make vulnerabilities`.
# All of package-lock.json is checked. What the page ships is bundled from there, like what builds it.
#
#   npmaudit.sh              a registry that gives no answer is named; exit status 0
#   npmaudit.sh --required   a registry that gives no answer is a failure (exit status 3)
#
# Exit status: 0 nothing found or not checked, 1 something found, 2 the check itself failed, 3 no answer.
set -euo pipefail
cd "$(dirname "$0")/../../cloud/server/dashboard"
say() { printf 'npm audit: %s\n' "$*" >&2; }
command -v npm >/dev/null || { say "NOT CHECKED: npm is not installed"; exit $([ "${1:-}" = --required ] && echo 3 || echo 0); }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm audit --json --package-lock-only >"$work/report.json" 2>"$work/errors" || true

# A report has its version and one entry for each package with a vulnerability; everything else is no answer.
code=0
node - "$work/report.json" >"$work/result" <<'PROGRAM' || code=$?
const text = require("fs").readFileSync(process.argv[2], "utf8");
let r;
try { r = JSON.parse(text); } catch { r = {}; }
if (!r || !r.auditReportVersion || !r.vulnerabilities || !r.metadata) {
  console.log(String((r && r.message) || "the answer is no report").slice(0, 300));
  process.exit(3);
}
const all = Object.values(r.vulnerabilities);
for (const v of all) {
  const why = v.via.map((a) => (typeof a === "string" ? "by " + a : a.title + " " + a.url)).join("; ");
  console.log(`${v.name} ${v.range} (${v.severity}): ${why}`);
}
if (all.length) process.exit(1);
console.log(r.metadata.dependencies.total);
PROGRAM
case $code in
0) say "none in the $(cat "$work/result") packages of the page" ;;
1)
	cat "$work/result" >&2
	say "found; update the packages in cloud/server/dashboard/package.json"
	exit 1
	;;
3)
	say "NOT CHECKED: the registry $(npm config get registry) gives no report: $(cat "$work/result")"
	[ "${1:-}" = --required ] && exit 3
	exit 0
	;;
*)
	cat "$work/errors" >&2
	say "the report cannot be read"
	exit 2
	;;
esac
