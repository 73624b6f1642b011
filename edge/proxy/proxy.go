// Package proxy reads the setting of an HTTP or SOCKS proxy. The setting can hold a
// password, so no error repeats it.
package proxy

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"cattlecounter/shared/secret"
)

// None is the setting for direct connections. It overrides the environment.
const None = "none"

var errSetting = errors.New(`is not a proxy such as http://host:3128 or socks5://host:1080, and not "none"`)

// Func returns a function for http.Transport.Proxy: nil for None, and for "" the one
// that reads HTTPS_PROXY, HTTP_PROXY and NO_PROXY. Schemes are http, https, socks5 and
// socks5h. User and password in the URL are sent to the proxy only.
func Func(setting secret.String) (func(*http.Request) (*url.URL, error), error) {
	switch setting.Reveal() {
	case "":
		return http.ProxyFromEnvironment, nil
	case None:
		return nil, nil
	}
	u, err := url.Parse(setting.Reveal())
	if err != nil || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" ||
		!slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
		return nil, errSetting
	}
	return http.ProxyURL(u), nil
}
