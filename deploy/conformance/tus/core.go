package tus

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// creating is what every check of an upload needs.
var creating = []string{"creation"}

var discovery = []check{
	{"options", "Core, OPTIONS", Must, nil, func(v *visit) error {
		a := v.server.options
		if a.status != http.StatusOK && a.status != http.StatusNoContent {
			return fmt.Errorf("status %d, want 200 or 204", a.status)
		}
		if got := a.header.Get("Tus-Version"); !slices.Contains(list(got), version) {
			return fmt.Errorf("Tus-Version is %.80q, want %s in it", got, version)
		}
		return nil
	}},
	{"options-ignores-version", "Core, OPTIONS", Must, nil, func(v *visit) error {
		a, err := v.do(http.MethodOptions, v.o.URL, nil, "Tus-Resumable", "99.0.0")
		if err == nil && !a.ok() {
			err = fmt.Errorf("status %d to a request with Tus-Resumable, which is to be ignored", a.status)
		}
		return err
	}},
	{"options-extensions", "Core, Tus-Extension", Must, nil, func(v *visit) error {
		values, told := v.server.options.header["Tus-Extension"]
		if !told {
			return nil
		}
		for name := range strings.SplitSeq(strings.Join(values, ","), ",") {
			if name = strings.TrimSpace(name); name == "" || strings.ContainsAny(name, " ;\"") {
				return fmt.Errorf("Tus-Extension is %.200q, want names joined by commas, or no header", values)
			}
		}
		return nil
	}},
	{"options-max-size", "Core, Tus-Max-Size", Must, nil, func(v *visit) error {
		if v.server.options.header.Get("Tus-Max-Size") == "" {
			return skip("the server tells no limit")
		}
		_, err := v.server.options.number("Tus-Max-Size")
		return err
	}},
}

var heads = []check{
	{"head-offset", "Core, HEAD", Must, creating, func(v *visit) error {
		to, err := v.create(v.content(small))
		if err != nil {
			return err
		}
		return v.still(to, 0, "the creation")
	}},
	{"head-length", "Core, HEAD", Must, creating, func(v *visit) error {
		a, err := v.fresh()
		if err != nil {
			return err
		}
		n, err := a.number("Upload-Length")
		if err == nil && n != small {
			err = fmt.Errorf("Upload-Length is %d, want %d", n, small)
		}
		return err
	}},
	{"head-no-store", "Core, HEAD", Must, creating, func(v *visit) error {
		a, err := v.fresh()
		if err != nil {
			return err
		}
		if got := a.header.Get("Cache-Control"); !slices.Contains(list(strings.ToLower(got)), "no-store") {
			return fmt.Errorf("Cache-Control is %.80q, want no-store", got)
		}
		return nil
	}},
	{"head-finished", "Core, HEAD", Must, creating, func(v *visit) error {
		content := v.content(small)
		to, err := v.create(content)
		if err != nil {
			return err
		}
		if err := v.append(to, 0, content); err != nil {
			return err
		}
		return v.still(to, small, "the last byte")
	}},
	{"head-unknown", "Core, HEAD", Should, creating, func(v *visit) error {
		to, err := v.unknown()
		if err != nil {
			return err
		}
		a, err := v.do(http.MethodHead, to, nil)
		switch {
		case err != nil:
			return err
		case !a.gone() && a.status != http.StatusForbidden:
			return fmt.Errorf("status %d for an upload that is not there, want 404, 410 or 403", a.status)
		case a.header.Get("Upload-Offset") != "":
			return errors.New("an upload that is not there has an Upload-Offset")
		}
		return nil
	}},
}

// fresh is the answer to HEAD about a new upload.
func (v *visit) fresh(header ...string) (answer, error) {
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

// unknown is the address of an upload that was never made.
func (v *visit) unknown() (string, error) {
	to, err := v.create(v.content(small))
	return to + "x", err
}

const oldVersion = "0.2.2"

var versions = []check{
	{"version-refused", "Core, Tus-Resumable", Must, creating, func(v *visit) error {
		content := v.content(small)
		to, err := v.create(content)
		if err != nil {
			return err
		}
		a, err := v.patch(to, 0, bytes.NewReader(content), "Tus-Resumable", oldVersion)
		if err == nil && a.status != http.StatusPreconditionFailed {
			err = fmt.Errorf("status %d to PATCH of another version, want 412", a.status)
		}
		if err != nil {
			return err
		}
		return v.still(to, 0, "a PATCH of another version")
	}},
	{"version-refused-post", "Core, Tus-Resumable", Must, creating, func(v *visit) error {
		a, err := v.post(nil, "Upload-Length", strconv.Itoa(small), "Upload-Metadata", v.metadata(nil), "Tus-Resumable", oldVersion)
		if err == nil && a.status != http.StatusPreconditionFailed {
			err = fmt.Errorf("status %d to POST of another version, want 412", a.status)
		}
		return err
	}},
	{"version-refused-head", "Core, Tus-Resumable", Must, creating, func(v *visit) error {
		to, err := v.create(v.content(small))
		if err != nil {
			return err
		}
		a, err := v.do(http.MethodHead, to, nil, "Tus-Resumable", oldVersion)
		if err == nil && a.status != http.StatusPreconditionFailed {
			err = fmt.Errorf("status %d to HEAD of another version, want 412", a.status)
		}
		return err
	}},
	{"version-told", "Core, Tus-Version", Must, creating, func(v *visit) error {
		a, err := v.post(nil, "Upload-Length", strconv.Itoa(small), "Upload-Metadata", v.metadata(nil), "Tus-Resumable", oldVersion)
		if err != nil {
			return err
		}
		if got := a.header.Get("Tus-Version"); !slices.Contains(list(got), version) {
			return fmt.Errorf("Tus-Version is %.80q in the refusal of another version, want %s in it", got, version)
		}
		return nil
	}},
	{"version-missing", "Core, Tus-Resumable", Should, creating, func(v *visit) error {
		content := v.content(small)
		to, err := v.create(content)
		if err != nil {
			return err
		}
		a, err := v.patch(to, 0, bytes.NewReader(content), "Tus-Resumable", "")
		if err == nil && a.status != http.StatusPreconditionFailed {
			err = fmt.Errorf("status %d to PATCH without a version, want 412", a.status)
		}
		return err
	}},
	{"override-post", "Core, X-HTTP-Method-Override", Must, creating, override(http.MethodPost)},
	{"override-any", "Core, X-HTTP-Method-Override", Must, creating, override(http.MethodPut)},
}

// everywhere looks back at the answers of all checks.
var everywhere = check{"version-everywhere", "Core, Tus-Resumable", Must, nil, func(v *visit) error {
	if n := len(v.silent); n > 0 {
		return fmt.Errorf("%d answers have no Tus-Resumable: %s, the first in %s", n, version, v.silent[0])
	}
	return nil
}}

// override sends a PATCH under another method, which is to be ignored.
func override(method string) func(*visit) error {
	return func(v *visit) error {
		content := v.content(small)
		to, err := v.create(content)
		if err != nil {
			return err
		}
		a, err := v.do(method, to, bytes.NewReader(content[:small/2]), "X-HTTP-Method-Override", http.MethodPatch, "Upload-Offset", "0", "Content-Type", octets)
		if err != nil {
			return err
		}
		if err := taken(a, small/2); err != nil {
			return fmt.Errorf("as %s: %w", method, err)
		}
		return v.still(to, small/2, "an overridden "+method)
	}
}
