package azure

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"cattlecounter/deploy/testkit/faultproxy"
	"cattlecounter/deploy/testkit/must"
)

// round sends two copies of the file on one way, through a new server: one for the speed, and one with a cut in the
// middle. It reads both from the storage and compares them.
func (p *programs) round(b *testing.B, w way, f *footageFile) (m measured) {
	if w.start == nil {
		return measured{speed: p.sendDirectly(b, f.another())}
	}
	s := w.start(b, p)
	defer func() { must.Do(b, s.Stop(20*time.Second)) }()
	disk := watch(s.folders)
	c := f.another()
	before, err := s.CPU()
	must.Do(b, err)
	began := time.Now()
	at := (&client{b: b, url: "http://" + s.host, header: s.header, piece: w.piece}).send(c)
	m.speed = float64(f.size) / 1e6 / time.Since(began).Seconds()
	after, err := s.CPU()
	must.Do(b, err)
	m.cpu = (after - before).Seconds() / float64(f.size) * 1e9
	p.compare(b, s, c, at)

	proxy, err := faultproxy.New(faultproxy.Options{To: s.host, Plan: func(st faultproxy.Stats) faultproxy.Faults {
		if st.Connections > 0 {
			return faultproxy.Faults{}
		}
		return faultproxy.Faults{CutUp: faultproxy.At(f.size / 2)}
	}})
	must.Do(b, err)
	c = f.another()
	through := client{b: b, url: "http://" + proxy.Addr(), header: s.header, piece: w.piece}
	at = through.send(c)
	must.Do(b, proxy.Close())
	st := proxy.Stats()
	if st.Count(faultproxy.Cut) != 1 {
		b.Fatalf("%+v", st)
	}
	m.resume = through.asked.Seconds()
	m.again = float64(st.Up.Delivered+st.Up.Lost-f.size) / 1e6 // includes the headers
	p.compare(b, s, c, at)
	peak, err := s.Memory("VmHWM")
	must.Do(b, err)
	m.disk, m.memory = float64(disk())/1e6, float64(peak)/(1<<20)
	return m
}

// service is a client of Azurite.
func (p *programs) service(t testing.TB) *azblob.Client {
	t.Helper()
	c, err := azblob.NewClientFromConnectionString(p.azure.ConnectionString().Reveal(), nil)
	must.Do(t, err)
	return c
}

// sendDirectly sends the file to the storage without a server, in blocks of 4 MiB, four at a time, like cloud-api.
func (p *programs) sendDirectly(b *testing.B, f *footageFile) float64 {
	c, in := p.service(b), newContainerName()
	_, err := c.CreateContainer(b.Context(), in, nil)
	must.Do(b, err)
	began := time.Now()
	_, err = c.UploadStream(b.Context(), in, "plain", f.from(0, f.size), &blockblob.UploadStreamOptions{BlockSize: 4 << 20, Concurrency: 4})
	must.Do(b, err)
	return float64(f.size) / 1e6 / time.Since(began).Seconds()
}

// compare compares the blob of an upload with the file.
func (p *programs) compare(b *testing.B, s server, f *footageFile, upload string) {
	b.Helper()
	in, name := s.place(f, upload)
	r, err := p.service(b).DownloadStream(b.Context(), in, name, nil)
	must.Do(b, err)
	defer r.Body.Close()
	if sum(b, r.Body) != f.sum(b) {
		b.Fatalf("blob %s of container %s differs from the file", name, in)
	}
}

// client is a client of tus 1.0.
type client struct {
	b      *testing.B
	url    string
	header http.Header
	piece  int64
	asked  time.Duration // time until the answers with the offset after a cut
}

func (c *client) do(method, url string, body io.Reader, n int64, header ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(c.b.Context(), method, url, body)
	must.Do(c.b, err)
	for k, v := range c.header {
		req.Header[k] = v
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	req.ContentLength = n
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	return resp, nil
}

// send sends a file and returns after the server has confirmed it. After a cut it asks for the offset at once and
// continues there.
func (c *client) send(f *footageFile) (upload string) {
	resp, err := c.do(http.MethodPost, c.url+"/files/", nil, 0, "Upload-Length", fmt.Sprint(f.size), "Upload-Metadata", "footage "+base64.StdEncoding.EncodeToString([]byte(f.id)))
	must.Do(c.b, err)
	if resp.StatusCode != http.StatusCreated {
		c.b.Fatalf("create: %s", resp.Status)
	}
	to, err := resp.Location()
	must.Do(c.b, err)
	upload = c.url + to.Path
	for at := int64(0); at < f.size; {
		n := f.size - at
		if c.piece > 0 {
			n = min(n, c.piece)
		}
		resp, err := c.do(http.MethodPatch, upload, f.from(at, n), n, "Upload-Offset", fmt.Sprint(at), "Content-Type", "application/offset+octet-stream")
		if err == nil && resp.StatusCode == http.StatusNoContent {
			at, err = strconv.ParseInt(resp.Header.Get("Upload-Offset"), 10, 64)
			must.Do(c.b, err)
			continue
		}
		at = c.offset(upload)
	}
	http.DefaultClient.CloseIdleConnections()
	return upload
}

// offset asks for the offset of an upload until the server answers. The canceled request may lock the upload for a
// while.
func (c *client) offset(upload string) int64 {
	began := time.Now()
	defer func() { c.asked += time.Since(began) }()
	for range 20 {
		resp, err := c.do(http.MethodHead, upload, nil, 0)
		if err == nil && resp.StatusCode == http.StatusOK {
			at, err := strconv.ParseInt(resp.Header.Get("Upload-Offset"), 10, 64)
			must.Do(c.b, err)
			return at
		}
		c.b.Logf("HEAD: %v %v", resp, err)
	}
	c.b.Fatal("no answer to HEAD")
	return 0
}

// watch measures the size of the folders. peak ends the measurement and returns the largest size in bytes.
func watch(folders []string) (peak func() int64) {
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan int64)
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := int64(0); ; {
			n = max(n, used(folders))
			select {
			case <-ctx.Done():
				result <- n
				return
			case <-tick.C:
			}
		}
	}()
	return func() int64 {
		cancel()
		return <-result
	}
}

// used is the space of the files below the folders, in bytes.
func used(folders []string) (n int64) {
	for _, dir := range folders {
		_ = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return nil //nolint:nilerr // the file was removed meanwhile
			}
			if info, err := e.Info(); err == nil {
				n += info.Sys().(*syscall.Stat_t).Blocks * 512
			}
			return nil
		})
	}
	return n
}
