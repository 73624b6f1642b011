package intake

import (
	"context"

	"cattlecounter/cloud/server/access"
	"cattlecounter/cloud/store/ledger"
)

type deviceKey struct{}

// WithDevice adds the holder of the token to the context of a request. Upload requests
// without one are refused.
func WithDevice(ctx context.Context, d ledger.Device) context.Context {
	return context.WithValue(ctx, deviceKey{}, d)
}

func deviceFrom(ctx context.Context) (ledger.Device, bool) {
	d, ok := ctx.Value(deviceKey{}).(ledger.Device)
	return d, ok
}

// mayUpload reports whether the holder is an edge agent or somebody with a browser who may upload.
func mayUpload(d ledger.Device) bool { return access.OfDevice(d).May(access.Upload) }
