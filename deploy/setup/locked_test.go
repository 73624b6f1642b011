package setup

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"cattlecounter/deploy/testkit/must"
)

// lockedLine is a package with its version and the digest of its file.
var lockedLine = regexp.MustCompile(`^([A-Za-z0-9._-]+)==([^ ]+) --hash=sha256:[0-9a-f]{64}$`)

// The lists of Python packages have a digest for each, and the digests for training are of the versions that people chose.
func TestPythonPackagesHaveDigests(t *testing.T) {
	locked := map[string]string{}
	for _, list := range []string{"../../cloud/training/locked.txt", "../bench/peers/requirements.txt", "gpu/cuda.txt"} {
		lines := packages(t, list)
		if len(lines) < 5 {
			t.Errorf("%s has %d packages", list, len(lines))
		}
		for _, line := range lines {
			m := lockedLine.FindStringSubmatch(line)
			if m == nil {
				t.Errorf("%s: %q has no digest", list, line)
				continue
			}
			if list == "../../cloud/training/locked.txt" {
				locked[plainName(m[1])] = m[2]
			}
		}
	}
	for _, line := range packages(t, "../../cloud/training/requirements.txt") {
		name, version, _ := strings.Cut(line, "==")
		if locked[plainName(name)] != version {
			t.Errorf("%s: locked.txt has the version %q; deploy/setup/lock.sh makes a new one", line, locked[plainName(name)])
		}
	}
}

// pipRun is a line of a script that runs pip to install or to fetch packages. libs.sh has the command in an array.
var pipRun = regexp.MustCompile(`(\bpip3?"? (install|download)\b|"\$\{pip\[@\]\}") (.*)`)

// withoutDigests are the arguments of pip, without its general options, that install packages whose digests are not
// compared, and why.
var withoutDigests = map[string]string{
	`"zizmor==$zizmor" "pycep-parser==$pycep"`: "linters: they only read the sources, and their files differ between machines",
	`"checkov==$version"`:                      "a linter: it only reads the sources, and chooses many packages itself",
	`-r "$list"`:                               "training on a machine for which locked.txt has no digests; setup.sh says so",
	`--dry-run --no-deps --ignore-installed --report "$part/report" -r "$part/have"`: "lock.sh asks for digests and installs nothing",
	`--extra-index-url "$TENSORRT_INDEX" "$tensorrt"`:                                "only from an index that a person names",
}

// No script installs a Python package without its digest, but for the named exceptions.
func TestScriptsInstallPythonPackagesByDigest(t *testing.T) {
	used := map[string]int{}
	digests := 0
	for _, path := range scripts(t, "../..") {
		text := strings.ReplaceAll(string(must.Get(os.ReadFile(path))(t)), "\\\n", " ")
		for line := range strings.Lines(text) {
			line = strings.Join(strings.Fields(line), " ")
			m := pipRun.FindStringSubmatch(line)
			if m == nil || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "pip=(") {
				continue
			}
			args := strings.NewReplacer("--quiet ", "", "--disable-pip-version-check ", "").Replace(m[3])
			switch {
			case strings.Contains(args, "--require-hashes "):
				digests++
			case withoutDigests[args] != "":
				used[args]++
			default:
				t.Errorf("%s installs Python packages without their digests: %s", path, line)
			}
		}
	}
	if digests != 4 {
		t.Errorf("%d lines install by digests, want 4: training, its art, peers, CUDA", digests)
	}
	for args := range withoutDigests {
		if used[args] != 1 {
			t.Errorf("the exception %s is used %d times", args, used[args])
		}
	}
}

// scripts are the files below a folder that run commands: of the shell, make, container builds and CI.
func scripts(t *testing.T, root string) (paths []string) {
	t.Helper()
	must.Do(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		name := filepath.Base(path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && (name == ".git" || name == "node_modules" || path == filepath.Join(root, "build")):
			return fs.SkipDir
		case d.Type().IsRegular() && runs.MatchString(name):
			paths = append(paths, path)
		}
		return nil
	}))
	return paths
}

// runs are the names of files that run commands.
var runs = regexp.MustCompile(`\.(sh|ya?ml|mk)$|^(Makefile|Containerfile|Dockerfile)|Dockerfile$`)

// packages are the lines of a list without its comments.
func packages(t *testing.T, path string) (lines []string) {
	t.Helper()
	for line := range strings.Lines(string(must.Get(os.ReadFile(path))(t))) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}

// plainName is the name of a package as pip compares it.
func plainName(name string) string {
	return strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(name))
}
