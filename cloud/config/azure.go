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

// Azure is the storage account for blobs and job messages. Only StoreAzure uses it.
type Azure struct {
	// ConnectionString is that of the storage account. If it is empty, BlobURL and QueueURL are used with a managed
	// identity.
	ConnectionString secret.String `yaml:"connection_string"`
	BlobURL          string        `yaml:"blob_url"`  // https://ACCOUNT.blob.core.windows.net
	QueueURL         string        `yaml:"queue_url"` // https://ACCOUNT.queue.core.windows.net
	Container        string        `yaml:"container"` // created if missing
	Queue            string        `yaml:"queue"`     // created if missing
}

// azureName is the form of names of containers and queues in Azure Storage.
var azureName = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9]){2,62}$`)

func (a Azure) validate(f *faults) {
	identity := a.BlobURL != "" || a.QueueURL != ""
	f.addIf(a.ConnectionString.IsZero() && !identity,
		"azure.connection_string: store azure needs it, or azure.blob_url and azure.queue_url")
	f.addIf(!a.ConnectionString.IsZero() && identity,
		"azure.connection_string: set it, or azure.blob_url and azure.queue_url, not both")
	for service, text := range map[string]string{"blob": a.BlobURL, "queue": a.QueueURL} {
		u, err := url.Parse(text)
		f.addIf(identity && (err != nil || u.Scheme != "https" || u.Host == ""),
			"azure.%[1]s_url: %[2]q is not a URL such as https://ACCOUNT.%[1]s.core.windows.net", service, text)
	}
	for key, name := range map[string]string{"azure.container": a.Container, "azure.queue": a.Queue} {
		f.addIf(!azureName.MatchString(name) || len(name) > 56,
			"%s: %q is not a name of 3 to 56 characters of a-z, 0-9 and single -", key, name)
	}
}
