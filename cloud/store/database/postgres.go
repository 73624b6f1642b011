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
	// writeLock is the advisory lock that every write of this program takes. The number
	// is arbitrary; other programs with the same database must not use it.
	writeLock = 0x0cA77_1e

	dialTime = 10 * time.Second
	// deadLink is the time after which a connection ends whose other side is silent.
	deadLink  = 15 * time.Second
	keepAlive = 5 * time.Second
)

// Password returns the password for a new connection, such as a token that expires. A nil
// Password means the password in the address.
type Password func(ctx context.Context) (secret.String, error)

// OpenPostgres connects to a PostgreSQL database. The address has the form postgres://
// user:password@host:port/name?sslmode=… or libpq's form with key=value. Missing parts
// come from the environment variables of libpq (PGHOST and so on). busy is how long a
// write waits for another process before it fails with ErrBusy; 0 means 10 s. The error
// wraps ErrUnreachable, ErrUnwritable or ErrInvalid.
//
// Each session sets its own durability and lock wait, independent of the server's
// defaults. The server ends a session that stops during a write, so that a frozen
// process does not block the others.
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
		return limited{conn, readTime * busy}, nil
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
	db.r.SetMaxOpenConns(readers + 1) // one for the Leader
	db.r.SetMaxIdleConns(readers)
	if err := db.checkServer(ctx); err != nil {
		return nil, Classify(errors.Join(err, db.Close()))
	}
	return db, nil
}

// set sets the password of one connection.
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

// dialer makes connections that end when the other side is silent. pgx itself waits for
// an answer as long as the connection exists.
func dialer() *net.Dialer {
	return &net.Dialer{
		Timeout: dialTime,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: keepAlive, Interval: keepAlive,
			Count: int(deadLink / keepAlive)},
		Control: func(network, _ string, c syscall.RawConn) error {
			if network == "unix" {
				return nil
			}
			return endAfter(c, deadLink)
		},
	}
}

// limited ends a connection on which an answer takes too long. pgx does not read from an
// idle connection, and the server's own waits are shorter.
type limited struct {
	net.Conn
	longest time.Duration
}

// Read implements net.Conn.
func (l limited) Read(b []byte) (int, error) {
	if err := l.SetReadDeadline(time.Now().Add(l.longest)); err != nil {
		return 0, err
	}
	return l.Conn.Read(b)
}

// oldest is the first version of PostgreSQL that can end silent sessions (see Leader).
const oldest = 14

// checkServer checks the server's version and encoding.
func (db *DB) checkServer(ctx context.Context) error {
	var encoding string
	var version int
	if err := db.w.QueryRowContext(ctx, `SELECT current_setting('server_encoding'), CAST(current_setting('server_version_num') AS INTEGER)`).Scan(&encoding, &version); err != nil {
		return err
	}
	if version < oldest*10000 {
		return fmt.Errorf("the server is PostgreSQL %d, want %d or newer: %w", version/10000, oldest, ErrInvalid)
	}
	if encoding != "UTF8" {
		return fmt.Errorf("the encoding of the database is %s, want UTF8: %w", encoding, ErrInvalid)
	}
	return nil
}

// endConnection ends a connection of the driver. database/sql removes it from its pool.
func endConnection(c any) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return errors.Join(driver.ErrBadConn, c.(*stdlib.Conn).Conn().Close(ctx))
}
