package intake

import (
	"context"

	"cattlecounter/cloud/store/ledger"
)

type deviceKey struct{}

// WithDevice puts the holder of the request's token into its context. Without
// one every upload request is refused.
func WithDevice(ctx context.Context, d ledger.Device) context.Context {
	return context.WithValue(ctx, deviceKey{}, d)
}

func deviceFrom(ctx context.Context) (ledger.Device, bool) {
	d, ok := ctx.Value(deviceKey{}).(ledger.Device)
	return d, ok
}

// mayUpload: an edge agent, or a person with a browser.
func mayUpload(d ledger.Device) bool {
	return d.Role == ledger.RoleDevice || d.Role == ledger.RoleOperator
}
