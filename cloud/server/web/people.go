package web

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/server/access"
	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/wire"
)

type (
	// staff changes people.
	staff interface {
		Get(ctx context.Context, name string) (ledger.Person, error)
		List(ctx context.Context) ([]ledger.Person, error)
		SetRole(ctx context.Context, name string, role ledger.Role, sites ledger.SiteSet) error
		Disable(ctx context.Context, name string) error
		Enable(ctx context.Context, name string) error
		Remove(ctx context.Context, name string) (pseudonym string, err error)
	}
	// invites are ways to a password, and back from one.
	invites interface {
		Invite(ctx context.Context, p ledger.Person) (code secret.String, end time.Time, err error)
		ResetPassword(ctx context.Context, name string) (code secret.String, end time.Time, err error)
		SetFirstPassword(ctx context.Context, code, password string) (name string, err error)
		RemoveSecondFactor(ctx context.Context, name string) error
		Export(ctx context.Context, name string) (ledger.PersonData, error)
	}
)

func (s *Server) peopleRoutes(api guarded) {
	api.Get("/people", s.listPeople)
	api.Post("/people", s.addPerson)
	api.Patch("/people/:name", s.changePerson)
	api.Delete("/people/:name", s.removePerson)
	api.Get("/people/:name/export", s.exportPerson)
	api.Post("/people/:name/reset", s.resetPerson)
	api.Post("/people/:name/logout", s.endSessionsOf)
	api.Post("/password", s.setFirstPassword)
	api.Get("/tokens", s.listTokens)
	api.Post("/tokens", s.addToken)
	api.Delete("/tokens/:name", s.revokeToken)
}

// within reports whether a holder has all of these sites. An admin of some sites manages people and tokens of no other one.
func within(h access.Holder, sites ledger.SiteSet) bool {
	if h.Sites.All() {
		return true
	}
	return len(sites) > 0 && !slices.ContainsFunc(sites, func(site string) bool { return site == ledger.AllSites || !h.Sites.Has(site) })
}

func personView(p ledger.Person) wire.Person {
	return wire.Person{Name: p.Name, Role: string(p.Role), Sites: p.Sites, Created: p.Created, LastSeen: p.LastSeen, Disabled: p.Disabled,
		SecondFactor: p.SecondFactor, Provider: p.Issuer}
}

func (s *Server) listPeople(c *fiber.Ctx) error {
	all, err := s.o.Ledger.Staff.List(c.UserContext())
	if err != nil {
		return err
	}
	h := holderOf(c.UserContext())
	all = slices.DeleteFunc(all, func(p ledger.Person) bool { return !within(h, p.Sites) })
	return sendJSON(c, pageOf(all, "", personView))
}

// managed returns the person in the path, for a holder who manages them. Others do not exist.
func (s *Server) managed(c *fiber.Ctx) (ledger.Person, error) {
	name := text(c.Params("name"))
	p, err := s.o.Ledger.Staff.Get(c.UserContext(), name)
	if err == nil && !within(holderOf(c.UserContext()), p.Sites) {
		err = fmt.Errorf("user %.64s: %w", p.Name, ledger.ErrNotFound)
	}
	return p, err
}

// another is managed, and refuses the holder's own account.
func (s *Server) another(c *fiber.Ctx) (ledger.Person, error) {
	p, err := s.managed(c)
	if h := holderOf(c.UserContext()); err == nil && h.Person && h.Name == p.Name {
		err = problem.New(wire.SlugForbidden, "This is your own account. Another admin can change it.")
	}
	return p, err
}

// grantable checks that a holder may give a role at some sites.
func grantable(h access.Holder, role string, names []string) (ledger.Role, ledger.SiteSet, error) {
	r := ledger.Role(role)
	if !r.ForPeople() {
		return "", nil, badRequest("role: %.40q is not one of %v.", role, ledger.PeopleRoles())
	}
	sites, err := ledger.ParseSiteSet(names)
	if err != nil {
		return "", nil, err
	}
	if !within(h, sites) {
		return "", nil, problem.New(wire.SlugForbidden, "You manage %s, and may give nothing at other sites.", h.Sites)
	}
	return r, sites, nil
}

func (s *Server) takesPasswords() error {
	if s.o.NoPasswords {
		return problem.New(wire.SlugForbidden, "This server takes no passwords (http.passwords). People log in at %s.", s.o.OpenIDName)
	}
	return nil
}

// addPerson adds a person without a password. The answer has the code with which the person sets it.
func (s *Server) addPerson(c *fiber.Ctx) error {
	var in wire.NewPerson
	err := s.takesPasswords()
	if err == nil {
		err = s.readForm(c, &in)
	}
	if err != nil {
		return err
	}
	role, sites, err := grantable(holderOf(c.UserContext()), in.Role, in.Sites)
	if err != nil {
		return err
	}
	code, end, err := s.o.Ledger.Invites.Invite(c.UserContext(), ledger.Person{Name: in.Name, Role: role, Sites: sites})
	if err != nil {
		return err
	}
	s.log.Info("user added", "user", in.Name, "role", role, "who", holderOf(c.UserContext()).Name)
	return s.sendPerson(c, in.Name, code, end)
}

func (s *Server) sendPerson(c *fiber.Ctx, name string, code secret.String, end time.Time) error {
	p, err := s.o.Ledger.Staff.Get(c.UserContext(), name)
	if err != nil {
		return err
	}
	v := personView(p)
	if !code.IsZero() {
		v.Code, v.Expires = code.Reveal(), &end
	}
	return sendJSON(c, v)
}

// changePerson changes role, sites and whether a person is disabled.
func (s *Server) changePerson(c *fiber.Ctx) error {
	p, err := s.another(c)
	if err != nil {
		return err
	}
	var in wire.PersonChange
	if err := s.readForm(c, &in); err != nil {
		return err
	}
	ctx := c.UserContext()
	if in.Role != "" || in.Sites != nil {
		if p.Issuer != "" {
			return problem.New(wire.SlugConflict, "%s gives %s role and sites at each log-in. Change the groups there.", p.Issuer, p.Name)
		}
		if in.Role == "" {
			in.Role = string(p.Role)
		}
		if in.Sites == nil {
			in.Sites = p.Sites
		}
		role, sites, err := grantable(holderOf(ctx), in.Role, in.Sites)
		if err == nil {
			err = s.o.Ledger.Staff.SetRole(ctx, p.Name, role, sites)
		}
		if err != nil {
			return err
		}
	}
	if in.Disabled != nil {
		change := s.o.Ledger.Staff.Enable
		if *in.Disabled {
			change = s.o.Ledger.Staff.Disable
		}
		if err := change(ctx, p.Name); err != nil {
			return err
		}
	}
	s.log.Info("user changed", "user", p.Name, "who", holderOf(ctx).Name)
	return s.sendPerson(c, p.Name, secret.String{}, time.Time{})
}

func (s *Server) removePerson(c *fiber.Ctx) error {
	p, err := s.another(c)
	if err != nil {
		return err
	}
	pseudonym, err := s.o.Ledger.Staff.Remove(c.UserContext(), p.Name)
	if err != nil {
		return err
	}
	s.log.Info("user removed", "user", pseudonym, "who", holderOf(c.UserContext()).Name)
	return sendJSON(c, wire.RemovedPerson{Pseudonym: pseudonym})
}

// resetPerson removes the second factor, or replaces the password by a code that sets a new one.
func (s *Server) resetPerson(c *fiber.Ctx) error {
	p, err := s.another(c)
	if err != nil {
		return err
	}
	var in wire.PersonReset
	if err := s.readForm(c, &in); err != nil {
		return err
	}
	if !in.Password && !in.SecondFactor {
		return badRequest("Set password or second_factor to true.")
	}
	ctx := c.UserContext()
	var code secret.String
	var end time.Time
	if in.Password {
		if err := s.takesPasswords(); err != nil {
			return err
		}
		if code, end, err = s.o.Ledger.Invites.ResetPassword(ctx, p.Name); err != nil {
			return err
		}
	}
	if in.SecondFactor {
		if err := s.o.Ledger.Invites.RemoveSecondFactor(ctx, p.Name); err != nil {
			return err
		}
	}
	s.log.Info("user reset", "user", p.Name, "password", in.Password, "second_factor", in.SecondFactor, "who", holderOf(ctx).Name)
	return s.sendPerson(c, p.Name, code, end)
}

func (s *Server) endSessionsOf(c *fiber.Ctx) error {
	p, err := s.managed(c)
	if err == nil {
		err = s.o.Ledger.Sessions.LogOut(c.UserContext(), p.Name)
	}
	if err != nil {
		return err
	}
	return s.sendPerson(c, p.Name, secret.String{}, time.Time{})
}

func (s *Server) exportPerson(c *fiber.Ctx) error {
	p, err := s.managed(c)
	if err != nil {
		return err
	}
	d, err := s.o.Ledger.Invites.Export(c.UserContext(), p.Name)
	if err != nil {
		return err
	}
	v := wire.PersonData{Person: personView(d.Person), Named: d.Named, Uploads: d.Uploads, BackupCodes: d.BackupCodes,
		Sessions: []wire.SessionData{}, Audit: []wire.AuditEntry{}}
	for _, one := range d.Sessions {
		v.Sessions = append(v.Sessions, wire.SessionData(one))
	}
	for _, e := range d.Audit {
		v.Audit = append(v.Audit, auditView(e))
	}
	c.Set(fiber.HeaderContentDisposition, `attachment; filename="`+p.Name+`.json"`)
	return sendJSON(c, v)
}

// setFirstPassword sets a password with the code of an invitation. The person logs in with it afterwards.
func (s *Server) setFirstPassword(c *fiber.Ctx) error {
	var in wire.FirstPassword
	err := s.takesPasswords()
	if err == nil {
		err = s.readForm(c, &in)
	}
	if err != nil {
		return err
	}
	var name string
	err = s.guess(c, "", func(ctx context.Context) (err error) {
		name, err = s.o.Ledger.Invites.SetFirstPassword(ctx, in.Code.Reveal(), in.Password.Reveal())
		return err
	})
	if errors.Is(err, ledger.ErrUnauthorised) {
		return problem.New(wire.SlugUnauthorised, "The link is wrong, used up or older than 3 days. Ask an admin for a new one.")
	}
	if err != nil {
		return err
	}
	s.log.Info("password set", "user", name, "remote", s.client(c))
	return sendJSON(c, wire.PersonName{Name: name})
}
