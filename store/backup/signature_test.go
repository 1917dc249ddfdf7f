package backup_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"parley.im/parley/store/backup"
	"parley.im/parley/store/seal"
)

// back restores from the first place of each kind into a folder of its own.
func (p *place) back(change func(*backup.Restore)) (*backup.Report, error) {
	r := &backup.Restore{Data: p.data[0], Keys: p.keysTo[0], Identities: []age.Identity{p.identity}, Dir: p.t.TempDir() + "/back",
		Roots: []seal.Key{p.root}}
	if change != nil {
		change(r)
	}
	return r.Run(p.t.Context())
}

// manifest is the newest one of a target as it lies there.
func (p *place) manifest(t backup.Target) (backup.Found, string) {
	p.t.Helper()
	f, _ := p.newest(t)
	r, err := t.Get(p.t.Context(), f.Name)
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		p.t.Fatal(err)
	}
	return f, string(text)
}

func (p *place) remove(t backup.Target, f backup.Found) {
	p.t.Helper()
	if err := t.Delete(p.t.Context(), f.Name); err != nil {
		p.t.Fatal(err)
	}
}

// put stores a text as the manifest of a time, with the hash that belongs in its name.
func (p *place) put(t backup.Target, at time.Time, text string) {
	p.t.Helper()
	sum := sha256.Sum256([]byte(text))
	name := "manifests/" + at.UTC().Format("20060102T150405.000Z") + "-" + hex.EncodeToString(sum[:8]) + ".json"
	if err := t.Put(p.t.Context(), name, bytes.NewReader([]byte(text)), int64(len(text))); err != nil {
		p.t.Fatal(err)
	}
}

// Who can write to a place of copies, and seal to the public key, passes nothing off as
// the server's copy.
func TestForgedManifests(t *testing.T) {
	const forged = "was not written by the server"
	for _, test := range []struct {
		name string
		do   func(p *place, m *backup.Manifest, f backup.Found, text string)
		want string
	}{
		{"changed", func(p *place, _ *backup.Manifest, f backup.Found, text string) {
			p.remove(p.data[0], f)
			p.put(p.data[0], f.Time, strings.Replace(text, `"test"`, `"else"`, 1))
		}, forged},
		{"with more after the signature", func(p *place, _ *backup.Manifest, f backup.Found, text string) {
			p.remove(p.data[0], f)
			p.put(p.data[0], f.Time, strings.TrimSuffix(text, "\n}\n")+",\n \"chains\": []\n}\n")
		}, "was changed or cut off"},
		{"made by somebody else", func(p *place, m *backup.Manifest, _ backup.Found, _ string) {
			m.Time = m.Time.Add(time.Hour)
			if err := backup.WriteManifest(p.t.Context(), p.data[0], m, seal.NewKey()); err != nil {
				p.t.Fatal(err)
			}
		}, backup.ErrUnsigned.Error()},
		{"not signed", func(p *place, m *backup.Manifest, _ backup.Found, _ string) {
			m.Time = m.Time.Add(time.Hour)
			if err := backup.WriteManifest(p.t.Context(), p.data[0], m); err != nil {
				p.t.Fatal(err)
			}
		}, backup.ErrUnsigned.Error()},
		{"that of the keys", func(p *place, _ *backup.Manifest, f backup.Found, _ string) {
			p.remove(p.data[0], f)
			f, text := p.manifest(p.keysTo[0])
			p.put(p.data[0], f.Time, text)
		}, "holds copies of keys, not of data"},
		{"an older one under a newer name", func(p *place, _ *backup.Manifest, f backup.Found, text string) {
			p.put(p.data[0], f.Time.Add(time.Hour), text)
		}, "was changed or cut off"},
		{"of another time alone", func(p *place, _ *backup.Manifest, f backup.Found, text string) {
			later := f.Time.Add(time.Hour)
			p.put(p.data[0], later, strings.Replace(text, f.Time.Format(time.RFC3339Nano), later.Format(time.RFC3339Nano), 1))
		}, forged},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPlace(t, true)
			p.say(0, 1, "one")
			p.mustCopy(false)
			if report, err := p.back(nil); err != nil || report.Behind {
				t.Fatalf("before, a restore answers %+v, %v", report, err)
			}
			f, text := p.manifest(p.data[0])
			_, m := p.newest(p.data[0])
			test.do(p, m, f, text)
			if _, err := p.back(nil); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("a restore answers %v, want %q", err, test.want)
			}
		})
	}
}

// When the newest copies of the data are taken away an older one is all there is, and that
// is said.
func TestCopiesTakenAwayAreMissed(t *testing.T) {
	p := newPlace(t, true)
	for _, text := range []string{"one", "two"} {
		p.say(0, 1, text)
		p.mustCopy(false)
	}
	f, _ := p.manifest(p.data[0])
	p.remove(p.data[0], f)
	report, err := p.back(nil)
	if err != nil || !report.Behind {
		t.Errorf("the restore answers %+v, %v", report, err)
	}
}

// Copies of earlier programs, which signed nothing, are taken by who says so; and those from
// while the root key is replaced are good with both.
func TestUnsignedCopies(t *testing.T) {
	p := newPlace(t, true)
	p.roots = nil
	p.say(0, 1, "one")
	p.mustCopy(false)
	before := p.clock()
	if _, err := p.back(nil); !errors.Is(err, backup.ErrUnsigned) {
		t.Errorf("what nobody signed: %v", err)
	}
	for name, change := range map[string]func(*backup.Restore){
		"asked for":            func(r *backup.Restore) { r.Unsigned = true },
		"without the root key": func(r *backup.Restore) { r.Roots = nil },
	} {
		if _, err := p.back(change); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	next := seal.NewKey()
	p.roots = []seal.Key{p.root, next}
	p.say(0, 1, "two")
	p.mustCopy(false)
	for _, root := range p.roots {
		if _, err := p.back(func(r *backup.Restore) { r.Roots = []seal.Key{root} }); err != nil {
			t.Error(err)
		}
	}
	if _, err := p.back(func(r *backup.Restore) { r.At = before }); !errors.Is(err, backup.ErrUnsigned) {
		t.Errorf("the older one: %v", err)
	}
}
