package main

import (
	"context"
	"fmt"

	"cattlecounter/edge/config"
	"cattlecounter/edge/enrol"
	"cattlecounter/shared/secret"
)

type enrolCmd struct {
	source
	URL      string   `arg:"" help:"Address of the cloud, such as https://cattle.example.org."`
	Code     string   `arg:"" help:"The code that an admin made on the page or with cloud-api device enrol."`
	Watch    []string `placeholder:"FOLDER" help:"Folder of the drone's card, for a station without a configuration file."`
	CAFile   string   `name:"ca-file" type:"path" placeholder:"FILE" help:"Certificate authority of a private cloud (PEM)."`
	Insecure bool     `help:"URL may be an http address of another machine. The token then crosses the network in the clear."`
	Proxy    string   `placeholder:"URL" help:"Proxy for this request. Default: that of the environment."`
}

func (c *enrolCmd) Run(ctx context.Context, s streams) error {
	path := c.Config
	if path == "" {
		path = stationConfig
	}
	id, err := enrol.Run(ctx, enrol.Options{URL: c.URL, Code: c.Code, Config: path, Watch: c.Watch, CAFile: c.CAFile,
		Insecure: c.Insecure, Proxy: secret.New(c.Proxy)})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "enrolled: %s/%s at %s, orders signed with %s\n", id.Site, id.Device, id.Cloud.URL, id.OrderKey.ID())
	cfg, err := c.loadFrom(path, s.environ)
	if err != nil {
		return fmt.Errorf("the station is enrolled, but its configuration must change: %w", err)
	}
	if cfg.MQTT.URL == "" {
		fmt.Fprintf(s.out, "note: mqtt.url is empty, so the station reports nothing and takes no orders; set it in %s\n", path)
	}
	_, err = fmt.Fprintln(s.out, "next: systemctl restart edge-agent && edge-agent doctor")
	return err
}

// loadFrom is load for a file that is named.
func (s source) loadFrom(path string, environ []string) (config.Config, error) {
	s.Config = path
	return s.load(environ)
}
