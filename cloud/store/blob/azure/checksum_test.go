package azure

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"hash/crc64"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"

	"cattlecounter/cloud/store/azstorage"
	"cattlecounter/deploy/testkit/azurite"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/secret"
)

// azureLike makes the emulator look like Azure Storage: it takes the name of that, and checks the CRC64 of blocks, which
// the emulator would refuse. damage names the block with a CRC64 that arrives with a wrong bit; silent does not confirm.
type azureLike struct {
	damage   int32
	silent   bool
	md5, crc atomic.Int32 // blocks that were checked
}

func (a *azureLike) RoundTrip(r *http.Request) (*http.Response, error) {
	confirmed := ""
	if isBlock(r) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		given := sent(r, "x-ms-content-crc64")
		switch {
		case given == "":
			a.md5.Add(1)
		case a.crc.Add(1) == a.damage:
			b[len(b)/2] ^= 4
			fallthrough
		default:
			confirmed = base64.StdEncoding.EncodeToString(binary.LittleEndian.AppendUint64(nil,
				crc64.Checksum(b, crc64.MakeTable(0x9A6C9329AC4BC9B5))))
			if given != confirmed {
				return &http.Response{StatusCode: http.StatusBadRequest, ProtoMajor: 1, ProtoMinor: 1, Request: r,
					Header: http.Header{"X-Ms-Error-Code": {"Crc64Mismatch"}}, Body: http.NoBody}, nil
			}
			delete(r.Header, "x-ms-content-crc64")
		}
		r.Body = io.NopCloser(bytes.NewReader(b))
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		resp.Header.Set("Server", "Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0")
		if confirmed != "" && !a.silent {
			resp.Header.Set("X-Ms-Content-Crc64", confirmed)
		}
	}
	return resp, err
}

// sent returns a header as the client of Azure writes it: not in the canonical form of Go.
func sent(r *http.Request, name string) string { return strings.Join(r.Header[name], ",") }

// openLike opens a store by a signature in the address, which does not cover headers.
func openLike(t *testing.T, transport http.RoundTripper) *Store {
	t.Helper()
	server := azurite.Get(t)
	key, err := blob.NewSharedKeyCredential(azurite.Account, azurite.Key)
	must.Do(t, err)
	q, err := sas.AccountSignatureValues{Version: sas.Version, Protocol: sas.ProtocolHTTPSandHTTP, ExpiryTime: time.Now().Add(time.Hour),
		Permissions:   (&sas.AccountPermissions{Read: true, Write: true, Delete: true, List: true, Create: true, Add: true}).String(),
		ResourceTypes: (&sas.AccountResourceTypes{Service: true, Container: true, Object: true}).String()}.SignWithSharedKey(key)
	must.Do(t, err)
	s, err := New(t.Context(), Options{Account: azstorage.Account{ConnectionString: secret.New("BlobEndpoint=http://" + server.Blob + "/" +
		azurite.Account + ";SharedAccessSignature=" + q.Encode())}, Container: newContainerName(), Client: &http.Client{Transport: transport}})
	must.Do(t, err)
	return s
}

// TestChecksums checks by what blocks are checked, and that damaged ones are sent again.
func TestChecksums(t *testing.T) {
	for name, c := range map[string]struct {
		service  *azureLike
		md5, crc int32 // blocks, of four
	}{
		"Azure":                  {&azureLike{}, 1, 3},
		"a damaged block":        {&azureLike{damage: 2}, 1, 4},
		"no confirmation of CRC": {&azureLike{silent: true}, 4, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := openLike(t, c.service)
			all := film(4 * firstBlock)
			must.Do(t, s.Stage(t.Context(), "up"))
			for i := range 4 { // one after the other: the answer to the first one decides
				_, err := s.Append(t.Context(), "up", int64(i)*firstBlock, bytes.NewReader(all[i*firstBlock:(i+1)*firstBlock]))
				must.Do(t, err)
			}
			_, err := s.Commit(t.Context(), "up", "k")
			must.Do(t, err)
			r, err := s.Open(t.Context(), "k", 0, -1)
			if !bytes.Equal(content(t, r, err), all) {
				t.Error("the blob differs from what was sent")
			}
			if md5, crc := c.service.md5.Load(), c.service.crc.Load(); md5 != c.md5 || crc != c.crc {
				t.Errorf("%d blocks with MD5 and %d with CRC64, want %d and %d", md5, crc, c.md5, c.crc)
			}
		})
	}
}

// TestEmulatorChecksMD5 checks that the emulator, which knows no CRC64, is never sent one.
func TestEmulatorChecksMD5(t *testing.T) {
	s, p := openTapped(t, newContainerName())
	p.intercept(func(r *http.Request) (*http.Response, error) {
		if isBlock(r) && (sent(r, "Content-MD5") == "" || sent(r, "x-ms-content-crc64") != "") {
			t.Errorf("headers %v", r.Header)
		}
		return nil, nil
	})
	must.Do(t, s.Stage(t.Context(), "up"))
	for i := range int64(2) {
		_, err := s.Append(t.Context(), "up", i*firstBlock, bytes.NewReader(film(firstBlock)))
		must.Do(t, err)
	}
}

// BenchmarkChecksums has the cost of the two.
func BenchmarkChecksums(b *testing.B) {
	block := film(firstBlock)
	for name, crc := range map[string]bool{"MD5": false, "CRC64": true} {
		b.Run(name, func(b *testing.B) {
			var c checksums
			c.crc.Store(crc)
			b.SetBytes(firstBlock)
			for b.Loop() {
				_ = c.of(block)
			}
		})
	}
}
