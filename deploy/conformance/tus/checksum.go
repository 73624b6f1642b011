package tus

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"net/http"
	"slices"
	"strings"
)

// hashes are the algorithms of this package, by their tus names.
var hashes = map[string]func() hash.Hash{
	"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New,
	"crc32": func() hash.Hash { return crc32.NewIEEE() },
}

// sum is the Upload-Checksum of b.
func sum(algorithm string, b []byte) string {
	h := hashes[algorithm]()
	h.Write(b)
	return algorithm + " " + base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// mandatory is the algorithm that every server must offer.
const mandatory = "sha1"

var summing = []string{"creation", "checksum"}

var checksums = []check{
	{"checksum-algorithms", "Checksum, Tus-Checksum-Algorithm", Must, summing, func(v *probe) error {
		if !slices.Contains(v.server.algorithms, mandatory) {
			return fmt.Errorf("Tus-Checksum-Algorithm is %q; it must list %s", v.server.algorithms, mandatory)
		}
		for _, a := range v.server.algorithms {
			if strings.ToLower(a) != a {
				return fmt.Errorf("algorithm %.40q has upper case letters", a)
			}
		}
		return nil
	}},
	{"checksum-right", "Checksum, PATCH", Must, summing, func(v *probe) error {
		for _, name := range v.commonAlgorithms() {
			content := v.content(small)
			to, err := v.create(content)
			if err != nil {
				return err
			}
			if err := v.append(to, 0, content[:small/2], "Upload-Checksum", sum(name, content[:small/2])); err != nil {
				return fmt.Errorf("with the right %s: %w", name, err)
			}
			if err := errors.Join(v.append(to, small/2, content[small/2:], "Upload-Checksum", sum(name, content[small/2:])), v.wantContent(to, content)); err != nil {
				return fmt.Errorf("with the right %s: %w", name, err)
			}
		}
		return nil
	}},
	{"checksum-wrong-discarded", "Checksum, PATCH", Must, summing, func(v *probe) error {
		for _, name := range v.commonAlgorithms() {
			content := v.content(small)
			to, err := v.create(content)
			if err != nil {
				return err
			}
			if err := v.append(to, 0, content[:5]); err != nil {
				return err
			}
			a, err := v.patch(to, 5, bytes.NewReader(content[5:small-1]), "Upload-Checksum", sum(name, content))
			if err == nil && a.ok() {
				err = fmt.Errorf("status %d to a wrong %s", a.status, name)
			}
			if err != nil {
				return err
			}
			if err := errors.Join(v.wantOffset(to, 5, "a wrong "+name), v.resume(to, content)); err != nil {
				return err
			}
		}
		return nil
	}},
	{"checksum-wrong-status", "Checksum, PATCH", Should, summing, func(v *probe) error {
		return v.wantRefusedChecksum(sum(mandatory, []byte("something else")), 460)
	}},
	{"checksum-unknown", "Checksum, PATCH", Should, summing, func(v *probe) error {
		return v.wantRefusedChecksum("nosuchhash MTIzNDU2Nzg=", http.StatusBadRequest)
	}},
	{"checksum-malformed", "Checksum, Upload-Checksum", Should, summing, func(v *probe) error {
		for _, bad := range []string{mandatory, mandatory + " !!!", mandatory + " MTIz"} {
			content := v.content(small)
			to, err := v.create(content)
			if err != nil {
				return err
			}
			a, err := v.patch(to, 0, bytes.NewReader(content), "Upload-Checksum", bad)
			if err == nil && !a.refused() {
				err = fmt.Errorf("status %d to Upload-Checksum %q", a.status, bad)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}},
	{"checksum-cut", "Checksum, PATCH", Must, summing, func(v *probe) error {
		content := v.content(large)
		to, err := v.create(content)
		if err != nil {
			return err
		}
		h, err := v.begin(to, 0, large, content[:most], "Upload-Checksum", sum(mandatory, content))
		if err != nil {
			return err
		}
		defer h.close()
		if err := h.halfClose(); err != nil {
			return err
		}
		return errors.Join(v.wantOffset(to, 0, "a PATCH with a checksum that was cut"), v.resume(to, content))
	}},
	{"checksum-creation", "Creation With Upload", Must, append([]string{"creation-with-upload"}, summing...), func(v *probe) error {
		content := v.content(small)
		send := func(checksum string) (answer, error) {
			return v.post(bytes.NewReader(content), append(length(small), "Content-Type", octets, "Upload-Metadata", v.metadata(content), "Upload-Checksum", checksum)...)
		}
		a, err := send(sum(mandatory, []byte("something else")))
		if err == nil && a.ok() {
			if n, _ := a.offset(); n > 0 {
				err = fmt.Errorf("status %d and offset %d to a creation with a wrong checksum", a.status, n)
			}
		}
		if err != nil {
			return err
		}
		if a, err = send(sum(mandatory, content)); err != nil {
			return err
		}
		_, err = v.address(a)
		return err
	}},
}

// commonAlgorithms are the algorithms of both sides.
func (v *probe) commonAlgorithms() []string {
	names := []string{mandatory}
	for _, a := range v.server.algorithms {
		if _, known := hashes[a]; known && a != mandatory {
			names = append(names, a)
		}
	}
	return names
}

// wantRefusedChecksum checks that a checksum is refused with a status.
func (v *probe) wantRefusedChecksum(checksum string, status int) error {
	content := v.content(small)
	to, err := v.create(content)
	if err != nil {
		return err
	}
	a, err := v.patch(to, 0, bytes.NewReader(content), "Upload-Checksum", checksum)
	if err == nil && a.status != status {
		err = fmt.Errorf("status %d, want %d", a.status, status)
	}
	return err
}
