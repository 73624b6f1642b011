package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"cattlecounter/shared/secret"
)

const (
	// writeLock is the advisory lock that every write of this program takes; any
	// number does that others of the same database do not use.
	writeLock = 0x0cA77_1e

	dialTime = 10 * time.Second
	// deadLink is after how long a connection whose other side does not answer ends.
	deadLink  = 15 * time.Second
	keepAlive = 5 * time.Second
)

// Password gives the password of a connection that is about to be made, such as a token
// that ends after a while; nil takes the one of the address.
type Password func(ctx context.Context) (secret.String, error)

// OpenPostgres connects to a PostgreSQL database, given as postgres://user:password@
// host:port/name?sslmode=… or in libpq's words; what it leaves out comes from PG…
// variables. busy is how long a write waits for another process before it fails with
// ErrBusy, 0 means 10 s. The error wraps ErrUnreachable, ErrUnwritable or ErrInvalid.
//
// Durability and lock waits are set for each session, whatever the server's defaults
// are; a session that stops in the middle of a write is ended by the server, so that a
// frozen process does not hold up the others.
func OpenPostgres(ctx context.Context, address secret.String, password Password, busy time.Duration) (*DB, error) {
	if busy == 0 {
		busy = defaultBusy
	}
	c, err := pgx.ParseConfig(address.Reveal())
	if err != nil {
		return nil, fmt.Errorf("address of the database: %w: %w", err, ErrInvalid) // pgx leaves the password out
	}
	c.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dialer().DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return patient{conn, readTime * busy}, nil
	}
	c.ConnectTimeout = dialTime
	for k, v := range map[string]string{
		"application_name":                    "cattlecounter",
		"client_encoding":                     "UTF8",
		"synchronous_commit":                  "on",
		"default_transaction_isolation":       "read committed",
		"lock_timeout":                        milliseconds(busy),
		"idle_in_transaction_session_timeout": milliseconds(busy),
	} {
		c.RuntimeParams[k] = v
	}
	db := &DB{
		name:     fmt.Sprintf("postgres://%s@%s/%s", c.User, net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))), c.Database),
		postgres: true, busy: busy,
	}
	login := stdlib.OptionBeforeConnect(password.set)
	db.w = stdlib.OpenDB(*c, login)
	db.w.SetMaxOpenConns(1)
	reading := c.Copy()
	reading.RuntimeParams["default_transaction_read_only"] = "on"
	db.r = stdlib.OpenDB(*reading, login)
	db.r.SetMaxOpenConns(readers + 1) // the Leader's
	db.r.SetMaxIdleConns(readers)
	if err := db.suits(ctx); err != nil {
		return nil, Classify(errors.Join(err, db.Close()))
	}
	return db, nil
}

// set puts the password into the settings of one connection.
func (p Password) set(ctx context.Context, c *pgx.ConnConfig) error {
	if p == nil {
		return nil
	}
	word, err := p(ctx)
	if err != nil {
		return fmt.Errorf("%w: token: %w", ErrUnreachable, err)
	}
	c.Password = word.Reveal()
	return nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// dialer gives connections that notice when the other side is gone: pgx waits for an
// answer as long as there is a connection.
func dialer() *net.Dialer {
	return &net.Dialer{
		Timeout:         dialTime,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: keepAlive, Interval: keepAlive, Count: int(deadLink / keepAlive)},
		Control: func(network, _ string, c syscall.RawConn) error {
			if network == "unix" {
				return nil
			}
			return endAfter(c, deadLink)
		},
	}
}

// patient ends a connection on which an answer takes far too long: nobody reads from one
// that is idle, and the waits of the server are shorter.
type patient struct {
	net.Conn
	longest time.Duration
}

// Read implements net.Conn.
func (p patient) Read(b []byte) (int, error) {
	if err := p.SetReadDeadline(time.Now().Add(p.longest)); err != nil {
		return 0, err
	}
	return p.Conn.Read(b)
}

// oldest is the first version that ends sessions which are silent (Leader).
const oldest = 14

// suits asks for what would otherwise show as odd faults later.
func (db *DB) suits(ctx context.Context) error {
	var encoding string
	var version int
	if err := db.w.QueryRowContext(ctx, `SELECT current_setting('server_encoding'), CAST(current_setting('server_version_num') AS INTEGER)`).Scan(&encoding, &version); err != nil {
		return err
	}
	if version < oldest*10000 {
		return fmt.Errorf("it is PostgreSQL %d, want %d or newer: %w", version/10000, oldest, ErrInvalid)
	}
	if encoding != "UTF8" {
		return fmt.Errorf("its encoding is %s, want UTF8: %w", encoding, ErrInvalid)
	}
	return nil
}

// endConnection ends a connection of the driver; database/sql forgets it then.
func endConnection(c any) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return errors.Join(driver.ErrBadConn, c.(*stdlib.Conn).Conn().Close(ctx))
}
