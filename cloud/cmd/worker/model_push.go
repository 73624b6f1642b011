package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"cattlecounter/cloud/model/hub"
	"cattlecounter/shared/secret"
)

// modelPush is `worker model push`.
type modelPush struct {
	Model     string        `arg:"" placeholder:"NAME|DIR" help:"The model: a name in the store, or a model folder."`
	Reference string        `arg:"" placeholder:"REPO[@BRANCH]" help:"OWNER/NAME of a repository on the hub, with a branch. Default branch: main."`
	Create    bool          `help:"Create the repository when it is missing."`
	Public    bool          `help:"A created repository is public. Default: private."`
	Message   string        `placeholder:"TEXT" help:"Message of the commit."`
	Base      string        `env:"HF_ENDPOINT" default:"https://huggingface.co" placeholder:"URL" help:"URL of the hub. Default: https://huggingface.co."`
	Token     secret.String `env:"HF_TOKEN" hidden:"" help:"Token for the hub; better given as HF_TOKEN."`
	TokenFile string        `name:"token-file" placeholder:"FILE" help:"File with the token. Default: the variable HF_TOKEN."`
	JSON      bool          `name:"json" help:"Print a JSON document."`
	modelFlags
}

// pushedModel is what push prints with --json.
type pushedModel struct {
	Repository string   `json:"repository"`
	Commit     string   `json:"commit"`
	Files      []string `json:"files"`
	Sent       int      `json:"large_files_sent"`
}

const maxToken = 4 << 10 // bytes of a token file

func (c *modelPush) token() (secret.String, error) {
	if c.TokenFile == "" {
		return secret.New(strings.TrimSpace(c.Token.Reveal())), nil
	}
	f, err := os.Open(c.TokenFile)
	if err != nil {
		return secret.String{}, fmt.Errorf("--token-file: %w: %w", err, hub.ErrReference)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxToken))
	token := strings.TrimSpace(string(b))
	if err != nil || token == "" || strings.ContainsAny(token, "\r\n") {
		return secret.String{}, fmt.Errorf("--token-file: %s is not a file with one line, the token: %w", c.TokenFile, hub.ErrReference)
	}
	return secret.New(token), nil
}

// run copies a model to a hub. Progress goes to stderr.
func (c *modelPush) run(ctx context.Context, stdout, stderr io.Writer) error {
	m, err := c.load()
	if err != nil {
		return err
	}
	e, err := m.store.Find(c.Model)
	if err != nil {
		return err
	}
	ref, err := hub.ParseReference(c.Reference, cmp.Or(c.Base, hub.DefaultBase))
	if err != nil {
		return err
	}
	token, err := c.token()
	if err != nil {
		return err
	}
	progress := newMeter(stderr, ref.String())
	out, err := hub.Push(ctx, hub.PushOptions{
		Dir: e.Dir(), Reference: ref, Token: token, Create: c.Create, Private: !c.Public, Message: c.Message,
		Progress: func(file string, done, total int64) { progress.show(float64(done)/1e6, float64(total)/1e6, "MB", file) },
		Note:     func(text string) { progress.clear(); fmt.Fprintln(stderr, text) },
	})
	progress.clear()
	if err != nil {
		return err
	}
	p := pushedModel{Repository: ref.Repository, Commit: out.Commit, Sent: out.Sent}
	for _, f := range out.Files {
		p.Files = append(p.Files, f.File)
	}
	if c.JSON {
		return printJSON(stdout, p)
	}
	_, err = fmt.Fprintf(stdout, "%s has %d files of %s since the commit %s; %d large files were sent.\nTo fetch it elsewhere: worker model pull %s@%s\n",
		ref.Repository, len(p.Files), e.Name, out.Commit, out.Sent, ref.Repository, out.Commit)
	return err
}
