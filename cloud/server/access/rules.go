package access

// rules is the action of every route of the API. Which footage, device or flight a request may use is decided by MayAt.
var rules = map[string]Action{
	"GET /api/v1/footage":                    Read,
	"GET /api/v1/footage/:id":                Read,
	"POST /api/v1/footage/:id/count":         Change,
	"POST /api/v1/footage/:id/recount":       Change,
	"GET /api/v1/footage/:id/result":         Read,
	"GET /api/v1/footage/:id/result.csv":     Read,
	"GET /api/v1/footage/:id/crossings.csv":  Read,
	"GET /api/v1/footage/:id/lines":          Read,
	"PUT /api/v1/footage/:id/lines":          Change,
	"DELETE /api/v1/footage/:id/lines":       Change,
	"GET /api/v1/footage/:id/still":          Read,
	"GET /api/v1/footage/:id/video":          Read,
	"GET /api/v1/footage/:id/sheet":          Read,
	"GET /api/v1/footage/:id/sheet.tif":      Read,
	"GET /api/v1/footage/:id/contact/:page":  Read,
	"GET /api/v1/footage/:id/thumbnail":      Read,
	"GET /api/v1/footage/:id/status":         Read,
	"GET /api/v1/jobs":                       Read,
	"GET /api/v1/jobs/:id":                   Read,
	"GET /api/v1/jobs/:id/attempts":          Read,
	"POST /api/v1/jobs/:id/retry":            Change,
	"POST /api/v1/jobs/:id/cancel":           Change,
	"GET /api/v1/counts":                     Read,
	"GET /api/v1/counts/:footage":            Read,
	"GET /api/v1/counts/:footage/positions":  Read,
	"GET /api/v1/positions":                  Read,
	"GET /api/v1/flights":                    Read,
	"POST /api/v1/flights":                   Change,
	"GET /api/v1/flights/:id":                Read,
	"POST /api/v1/flights/:id/split":         Change,
	"GET /api/v1/flights/:id/result":         Read,
	"GET /api/v1/flights/:id/sheet":          Read,
	"GET /api/v1/flights/:id/sheet.tif":      Read,
	"GET /api/v1/flights/:id/crossings.csv":  Read,
	"GET /api/v1/flights/:id/lines":          Read,
	"PUT /api/v1/flights/:id/lines":          Change,
	"DELETE /api/v1/flights/:id/lines":       Change,
	"GET /api/v1/devices":                    Read,
	"GET /api/v1/devices/:device/lines":      Read,
	"PUT /api/v1/devices/:device/lines":      Change,
	"DELETE /api/v1/devices/:device/lines":   Change,
	"GET /api/v1/stations":                   Read,
	"GET /api/v1/stations/:device":           Read,
	"POST /api/v1/stations/:device/commands": Command,
	"GET /api/v1/footage/:id/telemetry":      Read,

	"GET /api/v1/sites/:site/paddocks":          Read,
	"PUT /api/v1/sites/:site/paddocks":          Change,
	"GET /api/v1/sites/:site/paddocks/versions": Read,
	"GET /api/v1/sites/:site/book":              Read,
	"PUT /api/v1/sites/:site/book":              Change,
	"GET /api/v1/surveys":                       Read,
	"POST /api/v1/surveys":                      Change,
	"GET /api/v1/surveys/:id":                   Read,
	"DELETE /api/v1/surveys/:id":                Change,
	"GET /api/v1/surveys/:id/shares":            Change,
	"POST /api/v1/surveys/:id/shares":           Change,
	"DELETE /api/v1/surveys/:id/shares/:share":  Change,
	"GET /api/v1/shared":                        Public, // needs the key of a link

	"GET /api/v1/notifications":                 Notify,
	"POST /api/v1/notifications/:id/retry":      Notify,
	"GET /api/v1/notifications/rules":           Notify,
	"POST /api/v1/notifications/rules":          Notify,
	"PUT /api/v1/notifications/rules/:id":       Notify,
	"DELETE /api/v1/notifications/rules/:id":    Notify,
	"POST /api/v1/notifications/rules/:id/test": Notify,

	"GET /api/v1/overview":                Read,
	"GET /api/v1/history":                 Read,
	"GET /api/v1/queue":                   Read,
	"GET /api/v1/footage/:id/reviews":     Read,
	"PUT /api/v1/footage/:id/review":      Review,
	"DELETE /api/v1/footage/:id/review":   Review,
	"GET /api/v1/footage/:id/review.json": Read,
	"GET /api/v1/uploads":                 Read,
	"GET /api/v1/waiting":                 Read,
	"GET /api/v1/stats":                   Read,
	"GET /api/v1/events":                  Read,
	"GET /api/v1/audit":                   Administer,
	"GET /api/v1/session":                 Public, // says whether there is one
	"POST /api/v1/session":                Public, // logs in
	"DELETE /api/v1/session":              Public, // logs out
	"POST /api/v1/session/code":           Public, // logs in with a one-time code
	"GET /api/v1/openid":                  Public, // begins a log-in at the provider
	"GET /api/v1/openid/callback":         Public, // needs the answer of the provider, and the cookie of the begin
	"POST /api/v1/setup":                  Public, // needs the code of the console
	"POST /api/v1/second-factor":          Public, // needs the password, and a code of an earlier factor
	"POST /api/v1/second-factor/confirm":  Public, // needs the password, and a code of the new factor
	"POST /api/v1/second-factor/remove":   Public, // needs the password and a code
	"POST /api/v1/enrolments":             Administer,
	"POST /api/v1/enrol":                  Public, // needs the code of an enrolment
	"GET /api/v1/openapi.yaml":            Read,
	"GET /api/v1/openapi.json":            Read,
	"GET /api/v1/asyncapi.yaml":           Read,
	"GET /healthz":                        Public,
	"GET /livez":                          Public,
	"GET /readyz":                         Public, // its details need Inspect
	"GET /metrics":                        Inspect,
}
