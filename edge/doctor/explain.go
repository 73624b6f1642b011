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

// diagnosis is a fault of the network in an installer's words.
type diagnosis struct {
	what, do string
	date     bool // a certificate is not valid at this device's time
}

const setClock = "it is a clock problem: set the clock (date -u -s, timedatectl set-ntp true); " +
	"see the finding on the clock"

// explain turns an error of the network into a diagnosis. section is the part of
// the configuration that names the server: cloud or mqtt.
func explain(err error, section string, hints *clock.Hints) diagnosis {
	w := diagnosis{what: err.Error()}
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
			w.do = "the clock may be right: renew the certificate on the server"
		}
	case errors.As(err, &unknown):
		w.do = "if the server has a private authority, copy its certificate (PEM) to this machine and name the file in " +
			section + ".ca_file; otherwise somebody may intercept the connection: do not continue"
	case errors.As(err, &host):
		w.do = "use a name that the certificate covers in " + section + ".url"
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &record):
		w.do = "the server does not use TLS on that port: check scheme and port of " + section + ".url"
	case strings.Contains(w.what, "proxyconnect"):
		w.do = "the proxy refuses the connection: check cloud.proxy, or HTTPS_PROXY and NO_PROXY in the environment"
	case errors.As(err, &dns):
		w.do = "check the name in " + section + ".url, the modem, and the name server (resolvectl status, /etc/resolv.conf)"
	case errors.Is(err, syscall.ECONNREFUSED):
		w.do = "the host answers, but nothing listens on that port: check " + section + ".url and the server"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		w.do = "there is no route to the server: check modem, cable and routes (ip route)"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), isTimeout(err):
		w.what = "no answer: " + w.what
		w.do = "check the modem's signal and data volume, and firewalls on the way"
	default:
		w.do = "check the modem and " + section + ".url"
	}
	return w
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// explainBroker is explain for the broker and its own refusals.
func explainBroker(err error, at topic.Device, hints *clock.Hints) diagnosis {
	switch {
	case errors.Is(err, mqttlink.ErrCredentials):
		return diagnosis{what: err.Error(),
			do: fmt.Sprintf("use the token of device %q of site %q (cloud-api device list); "+
				"on a broker that you run yourself, create that account there",
				at.Name, at.Site)}
	case errors.Is(err, mqttlink.ErrRights):
		return diagnosis{what: err.Error(),
			do: fmt.Sprintf("allow the device's account to write below %s and to read %s and %s", at.Prefix(), at.Command(),
				at.Jobs())}
	}
	return explain(err, "mqtt", hints)
}

func brokerOptions(c config.Config, cfg *tls.Config) mqttlink.Options {
	return mqttlink.Options{URL: c.MQTT.URL, ClientID: fmt.Sprintf("doctor-%s-%s-%d", c.Site, c.Device, os.Getpid()),
		Username: c.Device, Password: c.Token, TLS: cfg}
}
