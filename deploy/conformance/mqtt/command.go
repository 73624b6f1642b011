package mqtt

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"cattlecounter/deploy/conformance/finding"
	"cattlecounter/shared/cli"
	"cattlecounter/shared/secret"
)

// Exit codes; the description has the same list.
const (
	exitOK     = 0
	exitBroken = 1
	exitUsage  = cli.ExitUsage
)

const description = `Checks whether a cloud follows the MQTT contract. With --admin it makes stations and tokens, and revokes them: use a
test server.

Exit codes: 0 every MUST holds; 1 a MUST does not hold; 2 wrong use, or the broker or the API does not answer.`

// Main runs one command line and returns the exit code.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c Command
	p := cli.Parse(&c, cli.Program{Name: "mqtt-conformance", Description: description, Stdout: stdout, Stderr: stderr}, args)
	if p.Ended {
		return p.Code
	}
	ok, err := c.Run(ctx, stdout)
	switch {
	case err != nil:
		fmt.Fprintln(stderr, "mqtt-conformance:", err)
		return exitUsage
	case !ok:
		return exitBroken
	}
	return exitOK
}

// Command is the command line.
type Command struct {
	URL      string        `arg:"" help:"The broker, such as mqtt://127.0.0.1:1883 or mqtts://cloud.example:8883."`
	API      string        `help:"Address of cloud-api, such as http://127.0.0.1:8080." placeholder:"URL"`
	Admin    secret.String `help:"Token of an admin of every site: tests everything, and makes the other accounts." env:"MQTT_ADMIN_TOKEN" placeholder:"TOKEN"`
	Reader   string        `help:"Name of a reader, to test without an admin what a reader sees." placeholder:"NAME"`
	Token    secret.String `help:"Token of the reader." env:"MQTT_TOKEN" placeholder:"TOKEN"`
	Site     string        `help:"Site of the reader, and of the first station." default:"conformance"`
	CA       string        `help:"File with the authorities of the broker and the API; default: those of the system." name:"ca" placeholder:"FILE"`
	Restart  string        `help:"Command that restarts the cloud and returns; tests what is published again." placeholder:"COMMAND"`
	Only     []string      `help:"Checks to run instead of all." placeholder:"CHECK"`
	Patience time.Duration `help:"Limit for what must arrive." default:"20s"`
	Settle   time.Duration `help:"How long nothing may arrive before the retained messages count as complete." default:"1s"`
	JSON     bool          `help:"Write the findings as JSON." name:"json"`
}

// Run checks the cloud, writes the findings to w, and returns whether every MUST holds.
func (c Command) Run(ctx context.Context, w io.Writer) (bool, error) {
	o := Options{URL: c.URL, API: c.API, Admin: c.Admin, Reader: c.Reader, Token: c.Token, Site: c.Site, CA: c.CA, Only: c.Only,
		Patience: c.Patience, Settle: c.Settle}
	if c.Restart != "" {
		o.Restart = func(ctx context.Context) error {
			out, err := exec.CommandContext(ctx, "sh", "-c", c.Restart).CombinedOutput()
			if err != nil {
				return fmt.Errorf("the command of --restart: %w: %s", err, strings.TrimSpace(string(out)))
			}
			return nil
		}
	}
	fs, err := Run(ctx, o)
	if err != nil {
		return false, err
	}
	if c.JSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return !finding.Failed(fs), e.Encode(fs)
	}
	return !finding.Failed(fs), finding.WriteTable(w, fs)
}
