package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"parley.im/parley/store"
)

func agentsAreListed(t *testing.T, open Open) {
	a, _ := open(t)
	d := newDesk(t, a)
	ben, anna := d.agent("ben"), d.agent("anna")
	_, err := a.AddAgent(d.ctx, "anna", "", store.Credential{Verifier: []byte("v")})
	wantErr(t, "the same name again", err, store.ErrConflict)
	all, err := a.Agents(d.ctx)
	must(t, err)
	if len(all) != 2 || all[0].ID != anna || all[1].ID != ben || all[0].Role != "agent" || all[0].Created.IsZero() {
		t.Errorf("agents are %+v", all)
	}
	must(t, a.DisableAgent(d.ctx, anna, true))
	one, err := a.Agent(d.ctx, "anna")
	must(t, err)
	want(t, "disabled", one.Disabled, true)
	_, err = a.Agent(d.ctx, "cleo")
	wantErr(t, "an agent who is not there", err, store.ErrNotFound)
	wantErr(t, "disabling her", a.DisableAgent(d.ctx, 99, true), store.ErrNotFound)
	wantErr(t, "deleting her", a.DeleteAgent(d.ctx, 99), store.ErrNotFound)
}

func agentsAreImported(t *testing.T, open Open) {
	a, _ := open(t)
	d := newDesk(t, a)
	d.agent("ben")
	names := []string{"anna", "ben", "cleo", "anna"}
	creds := make([]store.Credential, len(names))
	for i := range creds {
		creds[i] = store.Credential{Scope: "xmpp", Label: "password", Verifier: fmt.Append(nil, "v", i)}
	}
	errs, err := a.ImportAgents(d.ctx, names, "supervisor", creds)
	must(t, err)
	for i, taken := range []bool{false, true, false, true} {
		want(t, "a conflict for "+names[i], errors.Is(errs[i], store.ErrConflict), taken)
	}
	cleo, err := a.Agent(d.ctx, "cleo")
	must(t, err)
	want(t, "her role", cleo.Role, "supervisor")
	got, err := a.Credentials(d.ctx, cleo.ID)
	must(t, err)
	want(t, "her verifier", string(got[0].Verifier), "v2")
}

func credentialsAreKept(t *testing.T, open Open) {
	a, reopen := open(t)
	d := newDesk(t, a)
	anna := d.agent("anna")
	must(t, a.SetCredential(d.ctx, store.Credential{Agent: anna, Scope: "xmpp", Label: "phone", Device: "dev-1", Created: start, Verifier: []byte("p1")}))
	must(t, a.SetCredential(d.ctx, store.Credential{Agent: anna, Scope: "xmpp", Label: "password", Created: start, Verifier: []byte("p2")}))
	d = newDesk(t, reopen())
	all, err := d.Credentials(d.ctx, anna)
	must(t, err)
	var got []string
	for _, c := range all {
		got = append(got, fmt.Sprintln(c.Agent == anna, c.Scope, c.Label, c.Device, c.Created.Equal(start), string(c.Verifier)))
	}
	want(t, "credentials", strings.Join(got, ""), "true xmpp phone dev-1 true p1\ntrue xmpp password  true p2\n")
	must(t, d.DeleteCredential(d.ctx, all[0].ID))
	wantErr(t, "deleting it again", d.DeleteCredential(d.ctx, all[0].ID), store.ErrNotFound)
	wantErr(t, "replacing it", d.SetCredential(d.ctx, all[0]), store.ErrNotFound)
	all, err = d.Credentials(d.ctx, anna)
	must(t, err)
	want(t, "what is left", len(all), 1)
	_, err = d.Credentials(d.ctx, 99)
	wantErr(t, "credentials of nobody", err, store.ErrNotFound)
	wantErr(t, "a credential for nobody", d.SetCredential(d.ctx, store.Credential{Agent: 99, Label: "x"}), store.ErrNotFound)
}

func secretsAndSettings(t *testing.T, open Open) {
	a, reopen := open(t)
	token, err := a.Secret(t.Context(), "id", 32)
	must(t, err)
	salt, err := a.Secret(t.Context(), "salt", 32)
	must(t, err)
	if len(token) != 32 || len(salt) != 32 || bytes.Equal(token[:32], salt) {
		t.Error("secrets are not what was asked for")
	}
	_, err = a.Setting(t.Context(), "color")
	wantErr(t, "a setting that is not there", err, store.ErrNotFound)
	must(t, a.SetSetting(t.Context(), "color", "blue"))
	must(t, a.SetSetting(t.Context(), "color", "green"))
	a = reopen()
	again, err := a.Secret(t.Context(), "id", 32)
	must(t, err)
	want(t, "the secret is the same after a start", bytes.Equal(again, token), true)
	color, err := a.Setting(t.Context(), "color")
	must(t, err)
	want(t, "the setting", color, "green")
}

func archiveIDs(t *testing.T, open Open) {
	a, reopen := open(t)
	id := a.ArchiveID(3, 1000)
	want(t, "an id's length", len(id), 26)
	want(t, "lower case", strings.ToLower(id), id)
	if id == a.ArchiveID(4, 1000) || id == a.ArchiveID(3, 1001) {
		t.Error("two records or viewers share an id")
	}
	a = reopen()
	o, err := a.ParseArchiveID(3, id)
	must(t, err)
	want(t, "the ordinal", o, 1000)
	for _, bad := range []string{"", "x", strings.ToUpper(id), id[:25], id + "a", strings.Repeat("a", 26), id[:25] + "!"} {
		_, err := a.ParseArchiveID(3, bad)
		wantErr(t, "the id "+bad, err, store.ErrNotFound)
	}
	_, err = a.ParseArchiveID(4, id)
	wantErr(t, "another's id", err, store.ErrNotFound)
}

func endpointsAdvance(t *testing.T, open Open) {
	a, reopen := open(t)
	d := newDesk(t, a)
	e := store.Endpoint{ID: "wh_1", URL: "https://shop.example/x", Events: []string{"message.created", "agent.*"},
		Secret: "whsec_abc", Created: start, Cursor: 4,
		EndpointOptions: store.EndpointOptions{Thin: true, Auth: store.EndpointAuth{User: "parley", Password: "x y"}}}
	must(t, a.AddEndpoint(d.ctx, e))
	wantErr(t, "the same id again", a.AddEndpoint(d.ctx, e), store.ErrConflict)
	retry := func(o store.Ordinal, next time.Time) store.Retry {
		return store.Retry{Endpoint: "wh_1", Ordinal: o, Attempt: 1, Next: next, First: start}
	}
	must(t, a.Advance(d.ctx, store.Progress{Endpoint: "wh_1", Cursor: 9, Retries: []store.Retry{
		retry(7, start.Add(time.Hour)), retry(5, start.Add(time.Minute)), retry(8, time.Time{}), retry(9, start)}}))
	again := retry(7, start.Add(time.Second))
	again.Attempt = 2
	must(t, a.Advance(d.ctx, store.Progress{Endpoint: "wh_1", Retries: []store.Retry{again}, Settled: []store.Ordinal{9}}))
	wantErr(t, "advancing what is not there", a.Advance(d.ctx, store.Progress{Endpoint: "wh_2"}), store.ErrNotFound)

	d = newDesk(t, reopen())
	rs, err := d.Retries(d.ctx, "wh_1")
	must(t, err)
	want(t, "retries", fmt.Sprintf("%+v", rs), fmt.Sprintf("%+v", []store.Retry{again, retry(5, start.Add(time.Minute))}))
	dead, err := d.DeadLetters(d.ctx, "wh_1", start)
	must(t, err)
	want(t, "dead letters", fmt.Sprint(dead), "[8]")
	dead, err = d.DeadLetters(d.ctx, "wh_1", start.Add(time.Second))
	must(t, err)
	want(t, "dead letters tried first later", fmt.Sprint(dead), "[]")
	must(t, d.SendAgain(d.ctx, "wh_1", []store.Ordinal{8, 3}, start))
	rs, err = d.Retries(d.ctx, "wh_1")
	must(t, err)
	fresh := func(o store.Ordinal) store.Retry { return store.Retry{Endpoint: "wh_1", Ordinal: o, Next: start} }
	want(t, "what is sent again", fmt.Sprintf("%+v", rs), fmt.Sprintf("%+v", []store.Retry{fresh(3), fresh(8), again, retry(5, start.Add(time.Minute))}))
	e.Disabled, e.Why = true, "gone"
	must(t, d.UpdateEndpoint(d.ctx, e))
	e.Cursor = 9
	all, err := d.Endpoints(d.ctx)
	must(t, err)
	want(t, "endpoints", fmt.Sprintf("%+v", all), fmt.Sprintf("%+v", []store.Endpoint{e}))
	e = store.Endpoint{ID: "wh_1", URL: "https://shop.example/y", Secret: "whsec_def", Created: start, Cursor: 9,
		EndpointOptions: store.EndpointOptions{InOrder: true, Auth: store.EndpointAuth{Bearer: "b"}, Description: "the shop's",
			SignKey: "whsk_b", Previous: "whsec_abc", PreviousKey: "whsk_a", PreviousUntil: start.Add(time.Hour)}}
	changed, err := d.ChangeEndpoint(d.ctx, "wh_1", func(old *store.Endpoint) error {
		*old = e
		return nil
	})
	must(t, err)
	want(t, "what it is now", fmt.Sprintf("%+v", changed), fmt.Sprintf("%+v", e))
	_, err = d.ChangeEndpoint(d.ctx, "wh_2", func(*store.Endpoint) error { return nil })
	wantErr(t, "changing what is not there", err, store.ErrNotFound)
	_, err = d.ChangeEndpoint(d.ctx, "wh_1", func(old *store.Endpoint) error {
		old.URL = "https://shop.example/never"
		return store.ErrConflict
	})
	wantErr(t, "a change that is refused", err, store.ErrConflict)
	d = newDesk(t, reopen())
	all, err = d.Endpoints(d.ctx)
	must(t, err)
	want(t, "the changed one", fmt.Sprintf("%+v", all), fmt.Sprintf("%+v", []store.Endpoint{e}))
	must(t, d.DeleteEndpoint(d.ctx, "wh_1"))
	wantErr(t, "deleting it again", d.DeleteEndpoint(d.ctx, "wh_1"), store.ErrNotFound)
	rs, err = d.Retries(d.ctx, "wh_1")
	must(t, err)
	want(t, "retries of what is deleted", len(rs), 0)
}

func attemptsAreKept(t *testing.T, open Open) {
	a, _ := open(t)
	d := newDesk(t, a)
	anna, ben := d.agent("anna"), d.agent("ben")
	c := d.direct(anna, ben)
	must(t, a.AddEndpoint(d.ctx, store.Endpoint{ID: "wh_1", Created: start}))
	var all []store.Attempt
	for i := range 5 {
		all = append(all, store.Attempt{ID: fmt.Sprint("dlv_", i), Endpoint: "wh_1", Ordinal: d.say(c, anna, start, "x"), Conversation: c.ID(),
			Event: "message.created", Number: 1, At: start, Status: 500, Took: time.Second, Err: "status 500", Answer: fmt.Append(nil, "answer ", i)})
	}
	must(t, a.Advance(d.ctx, store.Progress{Endpoint: "wh_1", Attempts: all}))
	got, err := a.Attempts(d.ctx, "wh_1", 2)
	must(t, err)
	want(t, "the newest attempts", fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", []store.Attempt{all[4], all[3]}))
	must(t, a.Shred(d.ctx, c.ID()))
	got, err = a.Attempts(d.ctx, "wh_1", 10)
	must(t, err)
	want(t, "attempts after shredding", len(got), 5)
}

func resumesAreTakenOnce(t *testing.T, open Open) {
	a, reopen := open(t)
	d := newDesk(t, a)
	anna := d.agent("anna")
	later := time.Now().Add(time.Hour).Truncate(time.Millisecond).UTC()
	must(t, a.SaveResumes(d.ctx, []store.Resume{
		{ID: "a", Agent: anna, Expires: later, State: []byte("state a")},
		{ID: "b", Agent: anna, Expires: time.Now().Add(-time.Hour), State: []byte("too late")},
		{ID: "c", Agent: 99, Expires: later, State: []byte("nobody's")},
	}))
	a = reopen()
	got, err := a.TakeResumes(d.ctx)
	must(t, err)
	want(t, "sessions", fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", []store.Resume{{ID: "a", Agent: anna, Expires: later, State: []byte("state a")}}))
	got, err = a.TakeResumes(d.ctx)
	must(t, err)
	want(t, "sessions taken twice", len(got), 0)
}

func transcriptIsWhole(t *testing.T, open Open) {
	a, _ := open(t)
	d := newDesk(t, a)
	anna, ben := d.agent("anna"), d.agent("ben")
	c := d.direct(anna, ben)
	all, o := d.talk(c, anna, ben, 300)
	want(t, "the transcript", d.transcript(c.ID()), all)
	list, err := a.Conversations(d.ctx, 0, 1000)
	must(t, err)
	for _, s := range list {
		if s.ID == c.ID() {
			want(t, "the summary", fmt.Sprintf("%+v", s), fmt.Sprintf("%+v", store.Summary{ID: c.ID(), Nature: store.Direct,
				Agents: []store.AgentID{anna, ben}, Records: 300, First: o[0], Last: o[299]}))
			return
		}
	}
	t.Error("the conversation is not listed")
}

func everythingIsThereAgain(t *testing.T, open Open) {
	a, reopen := open(t)
	d := newDesk(t, a)
	anna, ben := d.agent("anna"), d.agent("ben")
	all, o := d.talk(d.direct(anna, ben), anna, ben, 20)
	d = newDesk(t, reopen())
	want(t, "the newest ordinal", d.Newest(), o[19])
	c := d.direct(anna, ben)
	b := d.append(said(c, anna, start, "one more"))
	must(t, b.Err)
	want(t, "the next n", b.Ops[0].N, 21)
	want(t, "the next ordinal", b.Ops[0].Ordinal, o[19]+1)
	want(t, "the transcript", d.transcript(c.ID()), append(all, "one more"))
	want(t, "the error", d.Err(), nil)
}
