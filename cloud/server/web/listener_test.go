package web

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"cattlecounter/deploy/testkit/must"
)

// TestAnswerAfterClose answers a request whose connection a stop has closed already: the server goes on.
func TestAnswerAfterClose(t *testing.T) {
	l, err := listen(t.Context(), "127.0.0.1:0", nil)
	must.Do(t, err)
	began, answer, served := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	s := &fasthttp.Server{ReadTimeout: time.Minute, WriteTimeout: time.Minute, IdleTimeout: time.Minute,
		Handler: func(*fasthttp.RequestCtx) { close(began); <-answer }}
	go func() { served <- s.Serve(l) }()
	c, err := net.Dial("tcp", l.Addr().String())
	must.Do(t, err)
	defer c.Close()
	_, err = c.Write([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
	must.Do(t, err)
	<-began
	l.closeAll()
	close(answer)
	must.Do(t, s.Shutdown()) // it waits for the connection
	if err := <-served; err != nil && !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if n := l.open(); n != 0 {
		t.Errorf("%d connections are open", n)
	}
}
