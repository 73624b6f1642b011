package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"time"
)

// Actions in the audit log. They are stored, so their text must not change.
const (
	ActionAddDevice      = "add device"
	ActionRenewDevice    = "renew device"
	ActionRevokeDevice   = "revoke device"
	ActionRetry          = "retry job"
	ActionCancel         = "cancel job"
	ActionCountSibling   = "count sibling"
	ActionAdvanceNumbers = "count on"
	ActionRemoveVideo    = "remove video"
	ActionRestoreVideo   = "restore video"
	ActionRecount        = "recount"
	ActionChooseModel    = "choose model"
	ActionPrioritise     = "prioritise job"
	ActionSetLines       = "set lines"
	ActionRemoveLines    = "remove lines"
	ActionJoinFlight     = "join flight"
	ActionSplitFlight    = "split flight"
	ActionReview         = "review"
	ActionRemoveReview   = "remove review"
	ActionOrder          = "order" // to a station
	ActionRefusedOrder   = "refused order"
	ActionAddUser        = "add user"
	ActionSetPassword    = "set password"
	ActionResetPassword  = "reset password"
	ActionSetRole        = "set role"
	ActionDisableUser    = "disable user"
	ActionEnableUser     = "enable user"
	ActionLogIn          = "log in"
	ActionLogOut         = "log out everywhere"
	ActionSetSites       = "set sites"
	ActionSetPaddocks    = "set paddocks"
	ActionSetBook        = "set book"
	ActionAddSurvey      = "add survey"
	ActionRemoveSurvey   = "remove survey"
	ActionRenewOrderKey  = "renew order key"
	ActionRotateOrderKey = "rotate order key"
	ActionEnrolCode      = "enrolment code"
	ActionEnrol          = "enrol station"
	ActionRemoveUser     = "remove user"
	ActionSetFactor      = "set second factor"
	ActionRemoveFactor   = "remove second factor"
	ActionBackupCode     = "use backup code"
	ActionSealSecrets    = "encrypt secrets"
	ActionDropSecrets    = "remove lost secrets" //nolint:gosec // a name

	ActionShare                  = "share survey"
	ActionShareFlight            = "share flight"
	ActionShareFootage           = "share footage"
	ActionRevokeShare            = "revoke share"
	ActionAddNotificationRule    = "add notification rule"
	ActionSetNotificationRule    = "set notification rule"
	ActionRemoveNotificationRule = "remove notification rule"
	ActionRetryNotification      = "retry notification"
	ActionTestNotificationRule   = "test notification rule"
)

// AuditEntry is one change that an operator or a program made.
type AuditEntry struct {
	N       int64 // grows by one
	At      time.Time
	Who     string // the holder of a token, or a program; "" when unknown
	Action  string // one of the constants
	Subject string // name of the device, id of the job or of the footage
}

type actorKey struct{}

// By returns a context whose writes the audit log attributes to who.
func By(ctx context.Context, who string) context.Context {
	return context.WithValue(ctx, actorKey{}, who)
}

// Actor is who the writes of a context are attributed to, "" when unknown.
func Actor(ctx context.Context) string {
	who, _ := ctx.Value(actorKey{}).(string)
	return clean(who)
}

// audit records an action in the transaction that does it.
func (l *tables) audit(ctx context.Context, tx *sql.Tx, action, subject string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO audit (n, at, who, action, subject)
		VALUES ((SELECT COALESCE(MAX(n), 0) + 1 FROM audit), $1, $2, $3, $4)`,
		micros(l.now()), Actor(ctx), action, subject)
	return err
}

// AuditLog is the list of what operators and programs changed. The changes write it
// in their own transactions.
type AuditLog struct{ *tables }

// Record records an action that changes nothing in the ledger, such as an order to a station.
func (l *AuditLog) Record(ctx context.Context, action, subject string) error {
	return l.write(ctx, "record "+action, func(ctx context.Context, tx *sql.Tx) error {
		return l.audit(ctx, tx, action, clean(subject))
	})
}

// AuditQuery selects entries. Zero fields select all.
type AuditQuery struct {
	Who, Action, Subject string
	From, To             time.Time
	Below                int64 // N is below
	Limit                int
}

// Find returns the selected entries, newest first.
func (l *AuditLog) Find(ctx context.Context, q AuditQuery) ([]AuditEntry, error) {
	if q.Below == 0 {
		q.Below = math.MaxInt64
	}
	to := int64(math.MaxInt64)
	if !q.To.IsZero() {
		to = q.To.UnixMicro()
	}
	from := int64(0)
	if !q.From.IsZero() {
		from = q.From.UnixMicro()
	}
	es, err := list(ctx, l.db.Read(), scanAudit, `SELECT n, at, who, action, subject FROM audit WHERE n < $1 AND at >= $2 AND at < $3
		AND ($4 = '' OR who = $4) AND ($5 = '' OR action = $5) AND ($6 = '' OR subject = $6) ORDER BY n DESC LIMIT $7`,
		q.Below, from, to, clean(q.Who), clean(q.Action), clean(q.Subject), q.Limit)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return es, nil
}

func scanAudit(rows *sql.Rows) (d AuditEntry, err error) {
	var at sql.NullInt64
	err = rows.Scan(&d.N, &at, &d.Who, &d.Action, &d.Subject)
	d.At = fromMicros(at)
	return d, err
}

// List returns at most limit entries whose N is below a number, newest first. 0 means
// from the newest entry on.
func (l *AuditLog) List(ctx context.Context, below int64, limit int) ([]AuditEntry, error) {
	if below == 0 {
		below = math.MaxInt64
	}
	ds, err := list(ctx, l.db.Read(), scanAudit, `SELECT n, at, who, action, subject FROM audit WHERE n < $1 ORDER BY n DESC LIMIT $2`, below, limit)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return ds, nil
}
