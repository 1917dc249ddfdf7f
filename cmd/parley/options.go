package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strconv"

	"parley.im/parley/conf"
	"parley.im/parley/store"
	"parley.im/parley/xmppd/notify"
	"parley.im/parley/xmppd/web"
)

// What an account's own people have set of its desk, its widget and its agents is kept under
// these names, as JSON; "" is nothing.
const (
	deskSetting   = "desk"
	widgetSetting = "widget"
	skillsSetting = "agents" // by their ids: another agent of the same name has none of it
)

// agentOption is the desk's list of what is set for single agents.
const agentOption = "agent"

// optionsMax is how large that is at most, in bytes.
const optionsMax = 64 << 10

// tables are how an account deals with visitors.
type tables struct {
	desk   conf.Desk
	widget conf.Widget
}

// tablesOf takes the tables out of an account's configuration: they change while it goes on.
func tablesOf(c *conf.Account) *tables {
	t := &tables{c.Desk, c.Widget}
	c.Desk, c.Widget = conf.Desk{}, conf.Widget{}
	return t
}

// A wishes is what an account's own people have set.
type wishes struct {
	desk, widget conf.Options
	skills       map[string]web.SkillsSet
}

// in is where what is set of a table stands.
func (w *wishes) in(table string) *conf.Options {
	if table == deskSetting {
		return &w.desk
	}
	return &w.widget
}

// wishes are those that are kept.
func (a *account) wishes(ctx context.Context) (w wishes, err error) {
	for name, to := range map[string]any{deskSetting: &w.desk, widgetSetting: &w.widget, skillsSetting: &w.skills} {
		text, err := a.store.Setting(ctx, name)
		if err == nil && text != "" {
			err = json.Unmarshal([]byte(text), to)
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return w, fmt.Errorf("what is set of %s: %w", name, err)
		}
	}
	return w, nil
}

// with is what holds: the file's, but for what is set.
func (t *tables) with(ctx context.Context, st store.Account, w *wishes) (*tables, error) {
	var is tables
	var err error
	if is.desk, err = t.desk.With(w.desk); err != nil {
		return nil, err
	}
	if is.widget, err = t.widget.With(w.widget); err != nil {
		return nil, err
	}
	if len(w.skills) == 0 {
		return &is, nil
	}
	agents, err := st.Agents(ctx)
	if err != nil {
		return nil, err
	}
	list := slices.Clone(is.desk.Agents)
	for _, g := range agents {
		set, ok := w.skills[strconv.FormatInt(int64(g.ID), 10)]
		if !ok {
			continue
		}
		i := slices.IndexFunc(list, func(s conf.Skilled) bool { return s.Name == g.Name })
		if i < 0 {
			i, list = len(list), append(list, conf.Skilled{Name: g.Name})
		}
		set.Over(&list[i])
	}
	is.desk, err = is.desk.WithAgents(list)
	return &is, err
}

// settle has hold what the file says and what is set. What is set and does not go with the
// file any more holds no longer, and is told.
func (a *account) settle(ctx context.Context) error {
	a.settling.Lock()
	defer a.settling.Unlock()
	w, err := a.wishes(ctx)
	if err != nil {
		return err
	}
	file := a.file.Load()
	is, err := file.with(ctx, a.store, &w)
	if faults, ok := errors.AsType[conf.Faults](err); ok {
		a.inst.log.Error("what is set of desk and widget does not go with parley.toml, which holds alone", "account", a.id, "err", faults)
		is, err = file, nil
	}
	if err == nil {
		a.hold(is)
	}
	return err
}

// hold has tables hold. The caller has settling.
func (a *account) hold(is *tables) {
	before := a.inForce.Swap(is)
	if before == nil || reflect.DeepEqual(before, is) || a.inst.live == nil {
		return
	}
	a.inst.live.OptionsChanged(a)
	if !slices.Equal(before.desk.OfflineMail, is.desk.OfflineMail) {
		select {
		case a.remail <- struct{}{}:
		default: // that is known already
		}
	}
}

// mailLeft mails that visitors have left messages to whom the account wants to know of it, until ctx ends.
func (s *server) mailLeft(ctx context.Context, a *account, log *slog.Logger) {
	for ctx.Err() == nil {
		run, cancel := context.WithCancel(ctx)
		go func() { // ends with run
			defer cancel()
			select {
			case <-a.remail:
			case <-run.Done():
			}
		}()
		if err := s.notes.RunLeft(run, notify.Account{ID: a.id, Domain: a.domain, Store: a.store}, a.inForce.Load().desk.OfflineMail); err != nil {
			log.Error("messages that visitors left are not mailed", "err", err)
		}
		<-run.Done()
	}
}

// OptionsChanged has an account deal with its visitors as it now says. The caller has settling.
func (s *server) OptionsChanged(a *account) {
	is := a.inForce.Load()
	if k := s.xmpp.Contacts(a.id); k != nil {
		k.Configure(is.desk.Settings())
	}
	s.visit.Show(a.id, lookOf(&is.widget, is.desk.Agents))
}

// settleAll has hold what the configuration, read again, says of visitors.
func (s *server) settleAll(ctx context.Context) (err error) {
	for _, a := range s.inService() {
		err = errors.Join(err, a.settle(ctx))
	}
	return err
}

// unskilled has nothing hold any more that was set for an agent who is no more: another one of her
// name begins without.
func (s *server) unskilled(id string) {
	for _, a := range s.inService() {
		if a.id != id {
			continue
		}
		if err := a.settle(context.Background()); err != nil {
			s.log.Warn("what was set for an agent holds until the next start", "account", id, "err", err)
		}
	}
}

// Options are what holds of an account's table, and what of that its own people have set.
func (i webInstallation) Options(ctx context.Context, id, table string) (is, own conf.Options, err error) {
	a, err := i.account(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	w, err := a.wishes(ctx)
	if err != nil {
		return nil, nil, err
	}
	holds := a.inForce.Load()
	if table == deskSetting {
		is = conf.OptionsOf(holds.desk)
		delete(is, agentOption)
	} else {
		is = conf.OptionsOf(holds.widget)
	}
	own = *w.in(table)
	if own == nil {
		own = make(conf.Options)
	}
	return is, own, nil
}

// SetOptions changes what is set of a table. An option without a value is as the file has it again.
func (i webInstallation) SetOptions(ctx context.Context, id, table string, change conf.Options) error {
	if _, ok := change[agentOption]; ok && table == deskSetting {
		r := web.Refuse(web.Invalid, "desk.agent: agents are set one by one")
		r.Hint = "'parley agent set', or PATCH /v1/agents/{jid} with tags, limit or shown"
		return r
	}
	return i.wish(ctx, id, func(w *wishes) (string, any) {
		own := w.in(table)
		if *own == nil {
			*own = make(conf.Options)
		}
		for name, value := range change {
			if value == nil {
				delete(*own, name)
			} else {
				(*own)[name] = value
			}
		}
		return table, *own
	})
}

// Skills are what is set for an agent, here or in the file.
func (i webInstallation) Skills(ctx context.Context, id, name string) (web.Skills, error) {
	a, err := i.account(ctx, id)
	if err != nil {
		return web.Skills{}, err
	}
	for _, s := range a.inForce.Load().desk.Agents {
		if s.Name == name {
			return web.Skills{Tags: s.Tags, Limit: s.Limit, Shown: s.Shown}, nil
		}
	}
	return web.Skills{}, nil
}

// SetSkills changes what is set for an agent.
func (i webInstallation) SetSkills(ctx context.Context, id string, agent store.AgentID, change web.SkillsChange) error {
	return i.wish(ctx, id, func(w *wishes) (string, any) {
		if w.skills == nil {
			w.skills = make(map[string]web.SkillsSet)
		}
		key := strconv.FormatInt(int64(agent), 10)
		if set := change.On(w.skills[key]); set == (web.SkillsSet{}) {
			delete(w.skills, key)
		} else {
			w.skills[key] = set
		}
		return skillsSetting, w.skills
	})
}

// wish changes what is set, of what change names, if the whole of it makes sense, and has it hold.
func (i webInstallation) wish(ctx context.Context, id string, change func(*wishes) (name string, value any)) error {
	a, err := i.account(ctx, id)
	if err != nil {
		return err
	}
	a.settling.Lock()
	defer a.settling.Unlock()
	w, err := a.wishes(ctx)
	if err != nil {
		return err
	}
	name, value := change(&w)
	is, err := a.file.Load().with(ctx, a.store, &w)
	if faults, ok := errors.AsType[conf.Faults](err); ok {
		return refusedFaults(faults)
	}
	if err != nil {
		return err
	}
	text, err := json.Marshal(value)
	switch {
	case err != nil:
		return err
	case len(text) > optionsMax:
		return web.Refuse(web.LimitReached, "that is more than can be set: at most %d bytes", optionsMax)
	case string(text) == "{}":
		text = nil
	}
	if err := a.store.SetSetting(ctx, name, string(text)); err != nil {
		return err
	}
	a.hold(is)
	return nil
}

// refusedFaults are faults of options as a program is told them.
func refusedFaults(faults conf.Faults) *web.Refusal {
	r := web.Refuse(web.Invalid, "%v", faults[0])
	r.Hint = faults[0].Hint
	for _, f := range faults[1:] {
		r.Others = append(r.Others, web.Fault{Text: f.Error(), Hint: f.Hint})
	}
	return r
}
