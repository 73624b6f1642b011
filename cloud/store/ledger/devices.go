package ledger

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"cattlecounter/shared/secret"
	"cattlecounter/shared/topic"
)

const (
	tokenBytes    = 32
	deviceColumns = `name, site, role, created, revoked, last_seen, sites, expires, generation, refused, pinned`
)

// TokenPrefix begins every token, so that secret scanners recognize a leaked one.
const TokenPrefix = "cc_"

// Devices are the holders of tokens: edge agents and people.
type Devices struct{ *tables }

// Add adds a device and returns its token. The ledger stores only the token's SHA-256,
// which is enough for 256 random bits, so the token cannot be read again. A name that is
// in use fails with ErrExists. A revoked device is added again with a new token.
func (l *Devices) Add(ctx context.Context, name, site string, role Role) (secret.String, error) {
	return l.AddWith(ctx, Device{Name: name, Site: site, Role: role})
}

// AddWith is Add for a token with further Sites or Expires.
func (l *Devices) AddWith(ctx context.Context, d Device) (secret.String, error) {
	name, site, role := d.Name, d.Site, d.Role
	action := "add device " + name
	if _, err := topic.ParseDevice(site, name); err != nil {
		return secret.String{}, fmt.Errorf("%s: %w: %w", action, err, ErrInvalid)
	}
	if !role.Valid() {
		return secret.String{}, fmt.Errorf("%s: role %q, want %s, %s or one of %v: %w", action, role, RoleDevice, RoleReader,
			PeopleRoles(), ErrInvalid)
	}
	if err := checkGrant(d); err != nil {
		return secret.String{}, fmt.Errorf("%s: %w", action, err)
	}
	token := newToken()
	err := l.write(ctx, action, func(ctx context.Context, tx *sql.Tx) error {
		var people int
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM person WHERE name = $1`, name).Scan(&people); err != nil {
			return err
		}
		if people > 0 {
			return fmt.Errorf("a user has this name: %w", ErrExists)
		}
		if err := l.insertDevice(ctx, tx, d, token); err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionAddDevice, name)
	})
	if err != nil {
		return secret.String{}, err
	}
	return secret.New(token), nil
}

// insertDevice adds a device with a token, in place of a revoked one of the same name.
func (l *Devices) insertDevice(ctx context.Context, tx *sql.Tx, d Device, token string) error {
	var expires time.Time
	if d.Expires != nil {
		expires = *d.Expires
	}
	res, err := tx.ExecContext(ctx, `INSERT INTO device (name, site, role, token_hash, created, sites, expires, generation, pinned)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $5)
		ON CONFLICT (name) DO UPDATE SET site = excluded.site, role = excluded.role, token_hash = excluded.token_hash,
			created = excluded.created, revoked = NULL, last_seen = NULL, refused = NULL, next_hash = NULL, sites = excluded.sites,
			expires = excluded.expires, generation = device.generation + 1, pinned = excluded.pinned
		WHERE device.revoked IS NOT NULL`,
		d.Name, d.Site, d.Role, hashToken(token), micros(l.now()), d.Sites.String(), micros(expires))
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, ErrExists)
	}
	return nil
}

// checkGrant checks the further sites of a token.
func checkGrant(d Device) error {
	if len(d.Sites) == 0 {
		return nil
	}
	if d.Role == RoleDevice {
		return fmt.Errorf("a device has one site: %w", ErrInvalid)
	}
	_, err := ParseSiteSet(d.Sites)
	return err
}

// SetSites changes where a token of a person or a program may read and act, and ends its connections. An unknown or
// revoked token, and that of a device, fail with ErrNotFound.
func (l *Devices) SetSites(ctx context.Context, name string, sites SiteSet) error {
	if _, err := ParseSiteSet(sites); err != nil {
		return fmt.Errorf("sites of %s: %w", name, err)
	}
	return l.write(ctx, "sites of "+name, func(ctx context.Context, tx *sql.Tx) error {
		if err := execOne(tx.ExecContext(ctx, `UPDATE device SET sites = $1, generation = generation + 1
			WHERE name = $2 AND role <> $3 AND revoked IS NULL`, sites.String(), name, RoleDevice)); err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionSetSites, name)
	})
}

// Renew returns a new token for a device. The old token stays valid until the first use
// of the new one, so that a station that is offline is not locked out. Another Renew
// before that replaces the new token. An unknown or revoked device fails with
// ErrNotFound.
func (l *Devices) Renew(ctx context.Context, name string) (secret.String, error) {
	token := newToken()
	err := l.write(ctx, "renew token of "+name, func(ctx context.Context, tx *sql.Tx) error {
		if err := execOne(tx.ExecContext(ctx, `UPDATE device SET next_hash = $1 WHERE name = $2 AND revoked IS NULL`,
			hashToken(token), name)); err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionRenewDevice, name)
	})
	if err != nil {
		return secret.String{}, err
	}
	return secret.New(token), nil
}

func newToken() string {
	var b [tokenBytes]byte
	_, _ = rand.Read(b[:]) // never fails; crypto/rand ends the program instead
	return TokenPrefix + base64.RawURLEncoding.EncodeToString(b[:])
}

func hashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// Authenticate returns the holder of a token. Unknown and revoked tokens both fail with
// ErrUnauthorised. The first use of a renewed token makes the older one invalid.
func (l *Devices) Authenticate(ctx context.Context, token string) (Device, error) {
	hash := hashToken(token)
	ds, err := list(ctx, l.db.Read(), scanHolder, `SELECT `+deviceColumns+`, token_hash = $1 FROM device
		WHERE (token_hash = $1 OR next_hash = $1) AND revoked IS NULL AND (expires IS NULL OR expires > $2)`, hash,
		micros(l.now()))
	if err == nil && len(ds) == 0 {
		return Device{}, l.refuse(ctx, hash)
	}
	if err == nil && !ds[0].current {
		err = l.write(ctx, "first use of a renewed token", func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `UPDATE device SET token_hash = next_hash, next_hash = NULL,
				generation = generation + 1 WHERE next_hash = $1`, hash)
			return err
		})
		ds[0].Generation++
	}
	if err != nil {
		return Device{}, fmt.Errorf("authenticate: %w", err)
	}
	return ds[0].Device, nil
}

// holder is a device, and whether it used its current token.
type holder struct {
	Device
	current bool
}

func scanHolder(rows *sql.Rows) (holder, error) {
	var h holder
	var err error
	h.Device, err = scanDeviceAnd(rows, &h.current)
	return h, err
}

func scanDevice(rows *sql.Rows) (Device, error) { return scanDeviceAnd(rows) }

func scanDeviceAnd(rows *sql.Rows, more ...any) (Device, error) {
	var d Device
	var created, revoked, seen, expires, refused, pinned sql.NullInt64
	var sites string
	err := rows.Scan(append([]any{&d.Name, &d.Site, &d.Role, &created, &revoked, &seen, &sites, &expires, &d.Generation, &refused,
		&pinned},
		more...)...)
	d.Created, d.Revoked, d.LastSeen, d.Expires = fromMicros(created), timePointer(revoked), timePointer(seen), timePointer(expires)
	d.Refused, d.Pinned = timePointer(refused), d.Created
	if pinned.Valid {
		d.Pinned = fromMicros(pinned)
	}
	if d.Sites = readSiteSet(sites); len(d.Sites) == 0 {
		d.Sites = SiteSet{d.Site}
	}
	return d, err
}

// List returns all devices, including revoked ones, in the order of their names.
func (l *Devices) List(ctx context.Context) ([]Device, error) {
	ds, err := list(ctx, l.db.Read(), scanDevice, `SELECT `+deviceColumns+` FROM device ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	return ds, nil
}

// Revoke makes the device's tokens invalid. A second Revoke is no error. An unknown name
// fails with ErrNotFound.
func (l *Devices) Revoke(ctx context.Context, name string) error {
	return l.write(ctx, "revoke device "+name, func(ctx context.Context, tx *sql.Tx) error {
		if err := execOne(tx.ExecContext(ctx, `UPDATE device SET revoked = COALESCE(revoked, $1), next_hash = NULL,
			generation = generation + 1 WHERE name = $2`, micros(l.now()), name)); err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionRevokeDevice, name)
	})
}

// Touch stores the time when a device was last seen. It never decreases.
func (l *Devices) Touch(ctx context.Context, name string, at time.Time) error {
	return l.write(ctx, "touch device "+name, func(ctx context.Context, tx *sql.Tx) error {
		return execOne(tx.ExecContext(ctx, `UPDATE device
			SET last_seen = CASE WHEN last_seen > $1 THEN last_seen ELSE $1 END WHERE name = $2`, micros(at), name))
	})
}

// execOne returns ErrNotFound when a statement has changed no row.
func execOne(res sql.Result, err error) error {
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return err
}
