package tus

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"cattlecounter/deploy/conformance/finding"
)

// creating is the extension that every check of an upload needs.
var creating = []string{"creation"}

var discovery = []check{
	{"options", "Core, OPTIONS", Must, nil, func(v *probe) error {
		a := v.server.options
		if a.status != http.StatusOK && a.status != http.StatusNoContent {
			return fmt.Errorf("status %d, want 200 or 204", a.status)
		}
		if got := a.header.Get("Tus-Version"); !slices.Contains(list(got), version) {
			return fmt.Errorf("Tus-Version is %.80q; it must list %s", got, version)
		}
		return nil
	}},
	{"options-ignores-version", "Core, OPTIONS", Must, nil, func(v *probe) error {
		a, err := v.do(http.MethodOptions, v.o.URL, nil, "Tus-Resumable", "99.0.0")
		if err == nil && !a.ok() {
			err = fmt.Errorf("status %d to OPTIONS with Tus-Resumable, which must be ignored", a.status)
		}
		return err
	}},
	{"options-extensions", "Core, Tus-Extension", Must, nil, func(v *probe) error {
		values, listed := v.server.options.header["Tus-Extension"]
		if !listed {
			return nil
		}
		for name := range strings.SplitSeq(strings.Join(values, ","), ",") {
			if name = strings.TrimSpace(name); name == "" || strings.ContainsAny(name, " ;\"") {
				return fmt.Errorf("Tus-Extension is %.200q, want names joined by commas, or no header", values)
			}
		}
		return nil
	}},
	{"options-max-size", "Core, Tus-Max-Size", Must, nil, func(v *probe) error {
		if v.server.options.header.Get("Tus-Max-Size") == "" {
			return finding.Skip("the server announces no limit")
		}
		_, err := v.server.options.number("Tus-Max-Size")
		return err
	}},
}

var heads = []check{
	{"head-offset", "Core, HEAD", Must, creating, func(v *probe) error {
		to, err := v.create(v.content(small))
		if err != nil {
			return err
		}
		return v.wantOffset(to, 0, "the creation")
	}},
	{"head-length", "Core, HEAD", Must, creating, func(v *probe) error {
		a, err := v.headOfNew()
		if err != nil {
			return err
		}
		n, err := a.number("Upload-Length")
		if err == nil && n != small {
			err = fmt.Errorf("Upload-Length is %d, want %d", n, small)
		}
		return err
	}},
	{"head-no-store", "Core, HEAD", Must, creating, func(v *probe) error {
		a, err := v.headOfNew()
		if err != nil {
			return err
		}
		if got := a.header.Get("Cache-Control"); !slices.Contains(list(strings.ToLower(got)), "no-store") {
			return fmt.Errorf("Cache-Control is %.80q, want no-store", got)
		}
		return nil
	}},
	{"head-finished", "Core, HEAD", Must, creating, func(v *probe) error {
		content := v.content(small)
		to, err := v.create(content)
		if err != nil {
			return err
		}
		if err := v.append(to, 0, content); err != nil {
			return err
		}
		return v.wantOffset(to, small, "the last byte")
	}},
	{"head-unknown", "Core, HEAD", Should, creating, func(v *probe) error {
		to, err := v.unknownAddress()
		if err != nil {
			return err
		}
		a, err := v.do(http.MethodHead, to, nil)
		switch {
		case err != nil:
			return err
		case !a.gone() && a.status != http.StatusForbidden:
			return fmt.Errorf("status %d for an unknown upload, want 404, 410 or 403", a.status)
		case a.header.Get("Upload-Offset") != "":
			return errors.New("the answer for an unknown upload has an Upload-Offset")
		}
		return nil
	}},
}

// headOfNew is the answer to HEAD of a new upload.
func (v *probe) headOfNew(header ...string) (answer, error) {
	to, err := v.create(v.content(small), header...)
	if err != nil {
		return answer{}, err
	}
	a, err := v.do(http.MethodHead, to, nil)
	if err == nil && a.status != http.StatusOK && a.status != http.StatusNoContent {
		err = fmt.Errorf("HEAD was answered with status %d", a.status)
	}
	return a, err
}

// unknownAddress is the address of an upload that does not exist.
func (v *probe) unknownAddress() (string, error) {
	to, err := v.create(v.content(small))
	return to + "x", err
}

const oldVersion = "0.2.2"

var versions = []check{
	{"version-refused", "Core, Tus-Resumable", Must, creating, func(v *probe) error {
		content := v.content(small)
		to, err := v.create(content)
		if err != nil {
			return err
		}
		a, err := v.patch(to, 0, bytes.NewReader(content), "Tus-Resumable", oldVersion)
		if err == nil && a.status != http.StatusPreconditionFailed {
			err = fmt.Errorf("status %d to a PATCH with another version, want 412", a.status)
		}
		if err != nil {
			return err
		}
		return v.wantOffset(to, 0, "a PATCH with another version")
	}},
	{"version-refused-post", "Core, Tus-Resumable", Must, creating, func(v *probe) error {
		a, err := v.post(nil, "Upload-Length", strconv.Itoa(small), "Upload-Metadata", v.metadata(nil), "Tus-Resumable", oldVersion)
		if err == nil && a.status != http.StatusPreconditionFailed {
			err = fmt.Errorf("status %d to a POST with another version, want 412", a.status)
		}
		return err
	}},
	{"version-refused-head", "Core, Tus-Resumable", Must, creating, func(v *probe) error {
		to, err := v.create(v.content(small))
		if err != nil {
			return err
		}
		a, err := v.do(http.MethodHead, to, nil, "Tus-Resumable", oldVersion)
		if err == nil && a.status != http.StatusPreconditionFailed {
			err = fmt.Errorf("status %d to a HEAD with another version, want 412", a.status)
		}
		return err
	}},
	{"version-listed", "Core, Tus-Version", Must, creating, func(v *probe) error {
		a, err := v.post(nil, "Upload-Length", strconv.Itoa(small), "Upload-Metadata", v.metadata(nil), "Tus-Resumable", oldVersion)
		if err != nil {
			return err
		}
		if got := a.header.Get("Tus-Version"); !slices.Contains(list(got), version) {
			return fmt.Errorf("Tus-Version is %.80q in the refusal of another version; it must list %s", got, version)
		}
		return nil
	}},
	{"version-missing", "Core, Tus-Resumable", Should, creating, func(v *probe) error {
		content := v.content(small)
		to, err := v.create(content)
		if err != nil {
			return err
		}
		a, err := v.patch(to, 0, bytes.NewReader(content), "Tus-Resumable", "")
		if err == nil && a.status != http.StatusPreconditionFailed {
			err = fmt.Errorf("status %d to a PATCH without a version, want 412", a.status)
		}
		return err
	}},
	{"override-post", "Core, X-HTTP-Method-Override", Must, creating, override(http.MethodPost)},
	{"override-any", "Core, X-HTTP-Method-Override", Must, creating, override(http.MethodPut)},
}

// everywhere checks the answers of all other checks. It runs last.
var everywhere = check{"version-everywhere", "Core, Tus-Resumable", Must, nil, func(v *probe) error {
	if n := len(v.withoutVersion); n > 0 {
		return fmt.Errorf("%d answers have no Tus-Resumable: %s, the first in %s", n, version, v.withoutVersion[0])
	}
	return nil
}}

// override sends a PATCH as another method with X-HTTP-Method-Override.
func override(method string) func(*probe) error {
	return func(v *probe) error {
		content := v.content(small)
		to, err := v.create(content)
		if err != nil {
			return err
		}
		a, err := v.do(method, to, bytes.NewReader(content[:small/2]), "X-HTTP-Method-Override", http.MethodPatch, "Upload-Offset", "0", "Content-Type", octets)
		if err != nil {
			return err
		}
		if err := wantPatched(a, small/2); err != nil {
			return fmt.Errorf("as %s: %w", method, err)
		}
		return v.wantOffset(to, small/2, "an overridden "+method)
	}
}
