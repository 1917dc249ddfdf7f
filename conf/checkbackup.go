package conf

import (
	"path"
	"path/filepath"
	"strings"
	"time"
)

// keysCopied is how long copies of keys may live at most: what was destroyed is not gone
// before they are.
const keysCopied = 7 * 24 * time.Hour

func (f *File) checkBackup(add func(*Fault)) {
	b := &f.Backup
	if _, err := time.Parse("15:04", b.FullAt); err != nil {
		add(f.Fault("backup.full_at", "", "not a time of the day such as \"03:00\": %q", b.FullAt))
	}
	for _, r := range b.Recipients {
		if !strings.HasPrefix(r, "age1") {
			add(f.Fault("backup.recipients", "'parley backup keygen' makes a key and prints its public half", "not a public key of age"))
		}
	}
	switch {
	case b.KeepKeys > keysCopied:
		add(f.Fault("backup.keep_keys", "", "too long: at most 7d, since what was destroyed can be read again for as long"))
	case b.KeepKeys >= b.KeepData:
		add(f.Fault("backup.keep_keys", "", "copies of keys must be gone sooner than those of data"))
	}
	if len(b.Recipients) == 0 {
		return
	}
	count := make(map[string]int)
	for i, t := range b.Targets {
		count[t.Of]++
		f.checkTarget(i, add)
	}
	for _, of := range []string{"data", "keys"} {
		if count[of] == 0 {
			add(f.Fault("backup", "name one as [[backup.target]], with of = \""+of+"\"", "there is no place for copies of %s", of))
		}
	}
}

// checkTarget looks at one place for copies, and whether it is apart from what it must be
// apart from. VIV-11
func (f *File) checkTarget(i int, add func(*Fault)) {
	t := f.Backup.Targets[i]
	key := element("backup.target", i)
	s3 := strings.HasPrefix(t.To, "s3://")
	switch {
	case t.To == "":
		add(f.Fault(key, "", "to is missing: where copies go"))
		return
	case s3 && (t.Endpoint == "" || t.KeyID == "" || t.Key == Secret{}):
		add(f.Fault(key, "", "endpoint, key_id and key are needed for S3"))
	case !s3 && (within(f.Data, t.To) || within(f.Keys, t.To) || within(t.To, f.Data) || within(t.To, f.Keys)):
		add(f.Fault(key+".to", "best is another machine's disk", "the copy would lie beside what it is a copy of"))
	}
	for _, other := range f.Backup.Targets[:i] {
		same := t.place() == other.place()
		switch {
		case t.Of == other.Of && same:
			add(f.Fault(key+".to", "", "the same place twice"))
		case t.Of != other.Of && (inside(t.place(), other.place()) || inside(other.place(), t.place())):
			add(f.Fault(key+".to", "keys are kept apart from what they protect: give two places side by side, best with different owners",
				"copies of data and of keys would lie in the same place"))
		}
	}
}

// place is the target's name, the same however it is written.
func (t *BackupTarget) place() string {
	if where, ok := strings.CutPrefix(t.To, "s3://"); ok {
		return strings.TrimSuffix(t.Endpoint, "/") + "//" + path.Clean(where)
	}
	return filepath.Clean(t.To)
}

func inside(dir, path string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }
