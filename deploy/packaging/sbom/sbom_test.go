package sbom

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

const status = "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2:2.36-9+deb12u10\nDescription: library\n Homepage: no field\n"

// debian has a package that is installed, one that was removed, and one more that is installed.
const debian = "Package: zlib1g\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:1.2.13\n\n" +
	"Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1.0\n\n" +
	"Package: tzdata\nStatus: install ok installed\nArchitecture: all\nVersion: 2026a\n"

const wheelSums = "4fbf0c5d7b5fb99266c2e8a802e3e64af68bdc383e0f3c7349b985f1087eedaa  onnxruntime_gpu-1.30.0-cp311-cp311-manylinux_2_27_x86_64.whl\n" +
	"dcc6d63884c53d07e267ce7e6feac17b2538cebaafec5db865736c3e28e4dc84  nvidia_cublas-13.10.0.20-1-py3-none-any.whl\n"

// sum is a SHA-512 of npm.
var sum = "sha512-" + base64.StdEncoding.EncodeToString(make([]byte, 64))

var lock = strings.ReplaceAll(`{"lockfileVersion": 3, "packages": {"": {},
  "node_modules/map": {"version": "6.1.0", "integrity": "sha512-AAEC", "license": "BSD-3-Clause", "dependencies": {"@tiles/box": "^1"}},
  "node_modules/map/node_modules/@tiles/box": {"version": "1.2.3", "integrity": "sha512-AAEC", "dependencies": {"map": "*"}},
  "node_modules/@tiles/box": {"version": "9.0.0", "integrity": "sha512-AAEC"},
  "node_modules/builder": {"version": "1.0.0", "integrity": "sha512-AAEC"}}}`, "sha512-AAEC", sum)

// image returns an image with the command of this package as its program.
func image(t *testing.T) Image {
	t.Helper()
	root := t.TempDir()
	write(t, filepath.Join(root, "var/lib/dpkg/status.d/libc6"), status)
	write(t, filepath.Join(root, "var/lib/dpkg/status"), debian)
	write(t, filepath.Join(root, "package-lock.json"), lock)
	write(t, filepath.Join(root, "wheels.txt"), wheelSums)
	program := filepath.Join(root, "sbom")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/sbom").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return Image{Name: "worker", Version: "1.2.3", Root: root, Programs: []string{program},
		NPM:    []Lock{{Path: filepath.Join(root, "package-lock.json"), Names: []string{"map"}}},
		Wheels: []string{filepath.Join(root, "wheels.txt")}}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestImage checks that every part of an image is in its document, which is valid and the same each time.
func TestImage(t *testing.T) {
	i := image(t)
	var first, second bytes.Buffer
	if err := errors.Join(Write(&first, i), Write(&second, i)); err != nil {
		t.Fatal(err)
	}
	if first.String() != second.String() {
		t.Error("two documents of the same files differ")
	}
	schema, err := LoadSchema(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Check(first.Bytes()); err != nil {
		t.Error(err)
	}
	var bom cdx.BOM
	if err := json.Unmarshal(first.Bytes(), &bom); err != nil {
		t.Fatal(err)
	}
	var purls []string
	for _, c := range *bom.Components {
		purls = append(purls, c.PackageURL)
	}
	for _, want := range []string{"pkg:deb/debian/libc6@2%3A2.36-9%2Bdeb12u10?arch=amd64", "pkg:npm/map@6.1.0", "pkg:npm/%40tiles/box@1.2.3",
		"pkg:deb/debian/zlib1g@1%3A1.2.13?arch=amd64", "pkg:deb/debian/tzdata@2026a?arch=all", "pkg:pypi/onnxruntime-gpu@1.30.0", "pkg:pypi/nvidia-cublas@13.10.0.20"} {
		if !slices.Contains(purls, want) {
			t.Errorf("%s is missing in %v", want, purls)
		}
	}
	for _, want := range []string{"pkg:golang/github.com/cyclonedx/cyclonedx-go@v", "pkg:golang/std@1."} {
		if !slices.ContainsFunc(purls, func(p string) bool { return strings.HasPrefix(p, want) }) {
			t.Errorf("%s… is missing in %v", want, purls)
		}
	}
	for _, p := range purls {
		if strings.Contains(p, "builder") || strings.Contains(p, "box@9") || strings.Contains(p, "gone") {
			t.Errorf("%s is not in the image", p)
		}
	}
}

// TestInvalid checks that documents and images with faults are refused.
func TestInvalid(t *testing.T) {
	schema, err := LoadSchema(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "{", "{}", `{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"name": "no type"}]}`,
		`{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"type": "library", "name": "a", "licenses": [{"license": {"id": "NoSuchLicence"}}]}]}`} {
		if err := schema.Check([]byte(text)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", text, err)
		}
	}
	i := image(t)
	if err := Write(new(bytes.Buffer), Image{Name: "x", Root: t.TempDir()}); !errors.Is(err, ErrEmpty) {
		t.Errorf("an empty image: %v, want ErrEmpty", err)
	}
	i.Programs = []string{i.NPM[0].Path}
	if err := Write(new(bytes.Buffer), i); err == nil || !strings.Contains(err.Error(), "program of Go") {
		t.Errorf("a program that is none: %v", err)
	}
}

// TestPackages has the errors of package lists.
func TestPackages(t *testing.T) {
	for text, want := range map[string]string{
		"{":                      "no package-lock.json",
		`{"lockfileVersion": 1}`: "lockfileVersion 1, want 3",
		`{"lockfileVersion": 3}`: "package map is not in the file",
		strings.Replace(lock, `"version": "6.1.0", `, "", 1): "want a version",
		strings.Replace(lock, sum, "sha512-AAEC", 1):         "SHA-512",
	} {
		if _, err := npmParts([]byte(text), []string{"map"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	if _, err := debianPart("Package: libc6\nVersion: 1\n"); err == nil {
		t.Error("a package without an architecture is accepted")
	}
	for _, text := range []string{"", "\n", "4fbf  a-1-py3-none-any.whl\n", strings.Replace(wheelSums, ".whl", ".zip", 1), strings.Replace(wheelSums, "-13.10.0.20-1-py3", "", 1)} {
		if _, err := wheelParts(text); err == nil {
			t.Errorf("wheels %q are accepted", text)
		}
	}
	for _, s := range []string{"", "file", "file=", "=name"} {
		if _, err := ParseLock(s); err == nil {
			t.Errorf("ParseLock(%q) has no error", s)
		}
	}
}

// TestPageParts checks that the image of cloud-api lists what the page is made of: every package but the build tools.
func TestPageParts(t *testing.T) {
	b, err := os.ReadFile("../../../cloud/server/dashboard/package.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ DevDependencies, Dependencies map[string]string }
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, of := range []map[string]string{file.DevDependencies, file.Dependencies} {
		for name := range of {
			if name != "esbuild" && name != "typescript" && name != "axe-core" {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	docker, err := os.ReadFile("../../docker/cloud-api.Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	if want := "package-lock.json=" + strings.Join(names, ",") + " "; !strings.Contains(string(docker), want) {
		t.Errorf("cloud-api.Dockerfile does not have %q", want)
	}
	if _, err := (Lock{Path: "../../../cloud/server/dashboard/package-lock.json", Names: names}).parts(); err != nil {
		t.Error(err)
	}
	if _, err := (Lock{Path: "../../setup/onnxruntime/package-lock.json", Names: []string{"onnxruntime-node"}}).parts(); err != nil {
		t.Error(err)
	}
}

func FuzzParts(f *testing.F) {
	f.Add([]byte(lock))
	f.Add([]byte(status))
	f.Add([]byte(wheelSums))
	f.Fuzz(func(t *testing.T, b []byte) {
		if all, err := npmParts(b, []string{"map"}); err == nil && len(all) == 0 {
			t.Error("no error and no package")
		}
		if all, err := wheelParts(string(b)); err == nil && (len(all) == 0 || all[0].Name == "" || all[0].Version == "") {
			t.Errorf("%+v", all)
		}
		if c, err := debianPart(string(b)); err == nil && (c.Name == "" || c.Version == "") {
			t.Errorf("%+v", c)
		}
	})
}
