package config

import (
	"net/url"
	"regexp"

	"cattlecounter/shared/secret"
)

// Values of Config.Store.
const (
	StoreLocal = "local"
	StoreAzure = "azure"
)

// Azure is where blobs and job messages are with StoreAzure.
type Azure struct {
	// ConnectionString of the storage account; without it BlobURL and QueueURL are
	// used with a managed identity.
	ConnectionString secret.String `yaml:"connection_string"`
	BlobURL          string        `yaml:"blob_url"`
	QueueURL         string        `yaml:"queue_url"`
	Container        string        `yaml:"container"`
	Queue            string        `yaml:"queue"`
}

// azureName is the rule for names of containers and queues.
var azureName = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9]){2,62}$`)

func (a Azure) validate(f *faults) {
	identity := a.BlobURL != "" || a.QueueURL != ""
	f.when(a.ConnectionString.IsZero() && !identity, "azure.connection_string: is needed with store: azure, or azure.blob_url and azure.queue_url")
	f.when(!a.ConnectionString.IsZero() && identity, "azure.connection_string: and azure.blob_url or azure.queue_url exclude each other")
	for key, text := range map[string]string{"azure.blob_url": a.BlobURL, "azure.queue_url": a.QueueURL} {
		u, err := url.Parse(text)
		f.when(identity && (err != nil || u.Scheme != "https" || u.Host == ""), "%s: %q is not an address such as https://ACCOUNT.blob.core.windows.net", key, text)
	}
	for key, name := range map[string]string{"azure.container": a.Container, "azure.queue": a.Queue} {
		f.when(!azureName.MatchString(name) || len(name) > 56, "%s: %q is not 3 to 56 of a-z, 0-9 and single -", key, name)
	}
}
