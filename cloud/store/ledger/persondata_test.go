package ledger

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
)

// A removed person leaves what was done, under a pseudonym, and can neither log in nor be found by name.
func TestRemovedPerson(t *testing.T) {
	l := must.Get(openAt(t.Context(), newPlace(t), Options{}))(t)
	defer l.Close()
	ctx := t.Context()
	must.Do(t, l.People.Add(ctx, Person{Name: "root", Role: RoleAdmin, Sites: SiteSet{AllSites}}, goodPassword))
	anna := Person{Name: "anna", Role: RoleOperator, Sites: SiteSet{"north"}}
	must.Do(t, l.People.Add(By(ctx, "root"), anna, goodPassword))
	session := must.Get(l.People.LogIn(ctx, must.Get(l.People.CheckPassword(ctx, "anna", goodPassword))(t), SecondStep{}))(t)
	code := must.Get(l.People.NewCode(ctx, CodeLogin, "anna"))(t)
	must.Do(t, l.Audit.Record(By(ctx, "anna"), ActionOrder, "dock-1: pause"))
	must.Do(t, l.Audit.Record(By(ctx, "annabel"), ActionOrder, "dock-1: resume"))
	must.Do(t, l.tables.write(ctx, "rows", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO book (site, paddock, since, animals, who)
			VALUES ('north', 'a', 1, 7, 'anna')`)
		return err
	}))
	d := must.Get(l.People.Export(ctx, "anna"))(t)
	if d.Person.Role != RoleOperator || len(d.Sessions) != 1 || len(d.Audit) != 3 || d.Named["entries of the book"] != 1 {
		t.Errorf("export %+v", d)
	}
	pseudonym := must.Get(l.People.Remove(By(ctx, "root"), "anna"))(t)
	var did []string
	for _, e := range must.Get(l.Audit.List(ctx, 0, 20))(t) {
		if e.Who == "anna" || e.Subject == "anna" {
			t.Errorf("the audit names the person: %+v", e)
		}
		if e.Who == pseudonym {
			did = append(did, e.Action)
		}
	}
	if got := strings.Join(did, ", "); got != "order, log in" {
		t.Errorf("what the person did: %s", got)
	}
	if es := must.Get(l.Audit.Find(ctx, AuditQuery{Action: ActionRemoveUser, Limit: 9}))(t); len(es) != 1 ||
		es[0].Who != "root" || es[0].Subject != pseudonym {
		t.Errorf("audit of the removal %+v", es)
	}
	for what, err := range map[string]error{
		"session":  second(l.People.Session(ctx, session.Reveal())),
		"password": second(l.People.CheckPassword(ctx, "anna", goodPassword)),
	} {
		if !errors.Is(err, ErrUnauthorised) {
			t.Errorf("%s of a removed person: %v", what, err)
		}
	}
	if _, _, err := l.People.LogInWithCode(ctx, code.Reveal(), SecondStep{}); !errors.Is(err, ErrUnauthorised) {
		t.Errorf("code of a removed person: %v", err)
	}
	if _, err := l.People.Export(ctx, "anna"); !errors.Is(err, ErrNotFound) {
		t.Errorf("export of a removed person: %v", err)
	}
	if _, err := l.People.Remove(ctx, "anna"); !errors.Is(err, ErrNotFound) {
		t.Errorf("removed twice: %v", err)
	}
	if _, err := l.People.Remove(ctx, "root"); !errors.Is(err, ErrLastAdmin) {
		t.Errorf("the last admin: %v", err)
	}
	must.Get(l.People.CheckPassword(ctx, "root", goodPassword))(t)
	var who string
	must.Do(t, l.DB().Read().QueryRowContext(ctx, `SELECT who FROM book`).Scan(&who))
	if who != pseudonym {
		t.Errorf("the book names %s", who)
	}
}

func second[T any](_ T, err error) error { return err }

// Old entries of the audit go; the newest stays, so that numbers go on.
func TestExpiredAudit(t *testing.T) {
	now := time.Unix(1e9, 0)
	l := must.Get(openAt(t.Context(), newPlace(t), Options{Now: func() time.Time { return now }}))(t)
	defer l.Close()
	ctx := t.Context()
	for range 3 {
		must.Do(t, l.Audit.Record(ctx, ActionOrder, "dock-1: pause"))
		now = now.Add(time.Hour)
	}
	if n := must.Get(l.Audit.Expire(ctx, now.Add(-150*time.Minute)))(t); n != 1 {
		t.Errorf("%d entries expired, want 1", n)
	}
	if n := must.Get(l.Audit.Expire(ctx, now.Add(time.Hour)))(t); n != 1 {
		t.Errorf("%d entries expired, want 1 and the newest kept", n)
	}
	must.Do(t, l.Audit.Record(ctx, ActionOrder, "dock-1: resume"))
	if es := must.Get(l.Audit.List(ctx, 0, 9))(t); len(es) != 2 || es[0].N != 4 || es[1].N != 3 {
		t.Errorf("entries %+v", es)
	}
}

// Every column that may have the name of a person is known.
func TestColumnsOfNames(t *testing.T) {
	onFile(t)
	l := must.Get(openAt(t.Context(), newPlace(t), Options{}))(t)
	defer l.Close()
	known := map[string]bool{"audit.who": true}
	for _, n := range namedBy {
		known[n.table+"."+n.column] = true
	}
	columns := must.Get(list(t.Context(), l.DB().Read(), func(rows *sql.Rows) (s string, err error) {
		err = rows.Scan(&s)
		return s, err
	}, `SELECT m.name || '.' || c.name FROM sqlite_master m, pragma_table_info(m.name) c
		WHERE m.type = 'table' AND c.name IN ('who', 'reviewer', 'author', 'person_name')`))(t)
	if len(columns) < len(known) {
		t.Fatalf("columns %v", columns)
	}
	for _, c := range columns {
		if !known[c] {
			t.Errorf("%s may name a person: add it to namedBy", c)
		}
	}
}
