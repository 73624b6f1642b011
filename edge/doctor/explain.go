package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"

	"cattlecounter/edge/clock"
	"cattlecounter/edge/config"
	"cattlecounter/shared/mqttlink"
	"cattlecounter/shared/topic"
)

// why is a fault of the network in an installer's words.
type why struct {
	what, do string
	date     bool // a certificate is not valid at this device's time
}

const setClock = "it is a clock problem: set the clock (date -u -s, timedatectl set-ntp true); see the line on the clock"

// explain reads an error of the network. section is the configuration's, cloud or
// mqtt.
func explain(err error, section string, hints *clock.Hints) why {
	w := why{what: err.Error()}
	var dates x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var record tls.RecordHeaderError
	var dns *net.DNSError
	switch {
	case errors.As(err, &dates) && dates.Reason == x509.Expired:
		wrong := false
		w.date, w.do = true, setClock
		if w.what, wrong = hints.Certificate(dates.Cert); !wrong {
			w.do = "the clock may be right: have the certificate renewed on the server"
		}
	case errors.As(err, &unknown):
		w.do = "if the server has a private authority, put its certificate (PEM) here and name it in " + section + ".ca_file; else something reads along: do not go on"
	case errors.As(err, &host):
		w.do = "use the name that the certificate is made for in " + section + ".url"
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &record):
		w.do = "nothing speaks TLS on that port: check scheme and port of " + section + ".url"
	case strings.Contains(w.what, "proxyconnect"):
		w.do = "the proxy does not let it through: check cloud.proxy, or HTTPS_PROXY and NO_PROXY of the environment"
	case errors.As(err, &dns):
		w.do = "check the name in " + section + ".url, the modem, and the name server (resolvectl status, /etc/resolv.conf)"
	case errors.Is(err, syscall.ECONNREFUSED):
		w.do = "the host is there, but nothing listens on that port: check " + section + ".url and the server"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		w.do = "there is no way to it: check modem, cable and routes (ip route)"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), isTimeout(err):
		w.what = "no answer: " + w.what
		w.do = "check signal and data volume of the modem, and firewalls in between"
	default:
		w.do = "check the modem and " + section + ".url"
	}
	return w
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// explainBroker is explain for the broker, which refuses in words of its own.
func explainBroker(err error, at topic.Device, hints *clock.Hints) why {
	switch {
	case errors.Is(err, mqttlink.ErrCredentials):
		return why{what: err.Error(), do: fmt.Sprintf("the token must be the one that was made for device %q of site %q (cloud-api device list); with another broker, make that account there", at.Name, at.Site)}
	case errors.Is(err, mqttlink.ErrRights):
		return why{what: err.Error(), do: fmt.Sprintf("let the account of the device write below %s and read %s and %s", at.Prefix(), at.Command(), at.Jobs())}
	}
	return explain(err, "mqtt", hints)
}

func brokerOptions(c config.Config, cfg *tls.Config) mqttlink.Options {
	return mqttlink.Options{URL: c.MQTT.URL, ClientID: fmt.Sprintf("doctor-%s-%s-%d", c.Site, c.Device, os.Getpid()), Username: c.Device, Password: c.Token, TLS: cfg}
}
