package mqttlink

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"golang.org/x/net/proxy"
)

// Default ports of MQTT (IANA: mqtt, secure-mqtt).
const (
	plainPort  = "1883"
	securePort = "8883"
)

// dial opens the connection under ctx. Paho's own dialing does not heed a context: a
// stop would wait for its time-out and leave its goroutine behind.
func dial(ctx context.Context, u *url.URL, cfg *tls.Config) (net.Conn, error) {
	switch u.Scheme {
	case "tcp", "mqtt":
		return proxy.Dial(ctx, "tcp", withPort(u, plainPort))
	case "ssl", "tls", "mqtts":
		conn, err := proxy.Dial(ctx, "tcp", withPort(u, securePort))
		if err != nil {
			return nil, err
		}
		own := &tls.Config{MinVersion: tls.VersionTLS12}
		if cfg != nil {
			own = cfg.Clone()
		}
		if own.ServerName == "" {
			own.ServerName = u.Hostname()
		}
		secure := tls.Client(conn, own)
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		return secure, nil
	case "ws", "wss":
		return mqtt.NewWebsocket(u.String(), cfg, connectTimeout, nil, &mqtt.WebsocketOptions{})
	}
	return nil, fmt.Errorf("scheme %q of the broker's URL is not tcp, ssl, ws or wss", u.Scheme)
}

func withPort(u *url.URL, port string) string {
	if u.Port() != "" {
		port = u.Port()
	}
	return net.JoinHostPort(u.Hostname(), port)
}
