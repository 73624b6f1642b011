package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"

	"cattlecounter/shared/orderkey"
	"cattlecounter/shared/settings"
)

// EnrolledFile is the name of the file with the identity of an enrolled station. It lies beside the configuration.
const EnrolledFile = "enrolled.yaml"

// EnrolmentFile is the name of the file beside EnrolledFile with a random word of each enrolment. With it a station tells
// that it was enrolled again from a restart, also when the cloud has the same key as at the enrolment before.
const EnrolmentFile = "enrolment"

// maxEnrolment is the longest word in EnrolmentFile, in bytes.
const maxEnrolment = 100

// Enrolled is the identity of a station, as edge-agent enrol writes it. The configuration may leave its keys out. It
// may override mqtt, cloud.ca_file and cloud.insecure, but not the others.
type Enrolled struct {
	Site      string          `yaml:"site"`
	Device    string          `yaml:"device"`
	TokenFile string          `yaml:"token_file"`
	OrderKey  orderkey.Public `yaml:"order_key"`
	Cloud     EnrolledAddress `yaml:"cloud"`
	MQTT      EnrolledAddress `yaml:"mqtt"`
}

// EnrolledAddress is where the station reaches the cloud or the broker.
type EnrolledAddress struct {
	URL      string `yaml:"url"`
	CAFile   string `yaml:"ca_file"`
	Insecure bool   `yaml:"insecure"`
}

// Text returns the content of the file.
func (e Enrolled) Text() ([]byte, error) {
	text, err := yaml.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("identity of the station: %w", err)
	}
	return append([]byte("# The identity of this station. edge-agent enrol writes this file.\n"), text...), nil
}

// readEnrolled returns the identity beside a configuration file, the zero value without one.
func readEnrolled(configuration string) (e Enrolled, err error) {
	if configuration == "" {
		return e, nil
	}
	path := filepath.Join(filepath.Dir(configuration), EnrolledFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return e, nil
	}
	err = settings.Load(path, nil, EnvPrefix, &e)
	return e, err
}

// readEnrolment returns the word of the enrolment, "" for one by an earlier version.
func readEnrolment(configuration string) (string, error) {
	path := filepath.Join(filepath.Dir(configuration), EnrolmentFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err == nil && len(b) > maxEnrolment {
		err = fmt.Errorf("%s: %d bytes, at most %d; enrol the station again", path, len(b), maxEnrolment)
	}
	if err != nil {
		return "", fmt.Errorf("enrolment: %w: %w", err, settings.ErrInvalid)
	}
	return strings.TrimSpace(string(b)), nil
}

// apply fills in what the station got when it was enrolled.
func (e Enrolled) apply(c *Config) {
	c.Site, c.Device, c.TokenFile, c.OrderKey = e.Site, e.Device, e.TokenFile, e.OrderKey
	c.Cloud.URL, c.Cloud.CAFile, c.Cloud.Insecure = e.Cloud.URL, e.Cloud.CAFile, e.Cloud.Insecure
	c.MQTT.URL, c.MQTT.CAFile, c.MQTT.Insecure = e.MQTT.URL, e.MQTT.CAFile, e.MQTT.Insecure
}

// check refuses a configuration that says something else than the identity.
func (e Enrolled) check(c Config, path string) error {
	if e == (Enrolled{}) {
		return nil
	}
	var faults []error
	for _, k := range []struct{ key, have, want string }{
		{"site", c.Site, e.Site}, {"device", c.Device, e.Device}, {"token_file", c.TokenFile, e.TokenFile},
		{"order_key", c.OrderKey.String(), e.OrderKey.String()}, {"cloud.url", c.Cloud.URL, e.Cloud.URL},
	} {
		if k.have != k.want {
			faults = append(faults, fmt.Errorf("%s: %q, but the station is enrolled with %q; remove the key, or the file %s",
				k.key, k.have, k.want, filepath.Join(filepath.Dir(path), EnrolledFile)))
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w:\n%w", path, settings.ErrInvalid, errors.Join(faults...))
}

// CheckCloud returns what is wrong with an address of the cloud. insecure allows one of another machine without TLS.
func CheckCloud(address string, insecure bool) error {
	var faults []error
	fault := func(key, format string, a ...any) {
		faults = append(faults, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, a...)))
	}
	checkURL(fault, "cloud.url", address, "http", "https")
	checkClear(fault, "cloud", address, insecure, "http")
	return errors.Join(faults...)
}
