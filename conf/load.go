package conf

import (
	_ "embed" // for the sample
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

//go:embed sample.toml
var sample string

// Sample is a parley.toml that names and explains every option with its default.
func Sample() string { return sample }

// Path is the path that the configuration was read from.
func (f *File) Path() string { return f.path }

// AccountsDir is the folder of the accounts that have a file each.
func (f *File) AccountsDir() string {
	return filepath.Join(filepath.Dir(f.path), "accounts.d")
}

// Load reads the configuration at path and the accounts in accounts.d beside it.
// Each of sets, KEY=VALUE with an option's dotted name, overrides an option. The
// error is Faults when the files could be read and something in them is wrong.
func Load(path string, sets []string) (*File, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f, tree, faults := parse(path, text)
	if tree == nil {
		return nil, faults
	}
	f.sets = slices.Clone(sets)
	more, err := f.accountFiles(tree)
	if err != nil {
		return nil, err
	}
	return f.finish(tree, sets, append(faults, more...))
}

// Reload loads the same configuration again, as it is now.
func (f *File) Reload() (*File, error) { return Load(f.path, f.sets) }

// Parse is Load for a text that stands, or would stand, at path. It reads no file.
func Parse(path string, text []byte, sets []string) (*File, error) {
	f, tree, faults := parse(path, text)
	if tree == nil {
		return nil, faults
	}
	return f.finish(tree, sets, faults)
}

func parse(path string, text []byte) (*File, map[string]any, Faults) {
	f := &File{path: path, origin: make(map[string]string)}
	tree, faults := f.tree(path, text, "")
	return f, tree, faults
}

// tree reads one file of TOML and notes where its keys stand, under prefix.
func (f *File) tree(path string, text []byte, prefix string) (map[string]any, Faults) {
	tree := make(map[string]any)
	if _, err := toml.Decode(string(text), &tree); err != nil {
		return nil, Faults{syntaxFault(path, err)}
	}
	for key, line := range keyLines(string(text)) {
		if prefix != "" {
			key = prefix + "." + key
		}
		f.origin[key] = place(path, line)
	}
	return tree, nil
}

func syntaxFault(path string, err error) *Fault {
	fault := &Fault{At: path, Text: strings.TrimPrefix(err.Error(), "toml: "), file: path}
	if p, ok := errors.AsType[toml.ParseError](err); ok {
		fault.line = p.Position.Line
		fault.At = place(path, fault.line)
		fault.Text = "not TOML: " + p.Message
	}
	return fault
}

// accountFiles adds the accounts of accounts.d to the tree's.
func (f *File) accountFiles(tree map[string]any) (Faults, error) {
	files, err := os.ReadDir(f.AccountsDir()) // by name
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var faults Faults
	if tree["account"] != nil && tables(tree["account"]) == nil {
		files = nil // which is a fault that read will find
	}
	for _, file := range files {
		name := filepath.Join(f.AccountsDir(), file.Name())
		if filepath.Ext(name) != ".toml" {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		list := tables(tree["account"])
		prefix := element("account", len(list))
		account, more := f.tree(name, text, prefix)
		faults = append(faults, more...)
		if account == nil {
			continue
		}
		f.origin[prefix] = place(name, 1)
		tree["account"] = append(list, account)
	}
	return faults, nil
}

// finish turns the tree into f and checks it.
func (f *File) finish(tree map[string]any, sets []string, faults Faults) (*File, error) {
	r := &reader{f: f, faults: faults}
	for _, s := range sets {
		r.set(tree, s)
	}
	r.read(tree)
	f.resolve()
	r.faults = append(r.faults, f.check()...)
	if len(r.faults) > 0 {
		r.faults.sort()
		return nil, r.faults
	}
	return f, nil
}

// resolve makes paths relative to the configuration's folder.
func (f *File) resolve() {
	dir := filepath.Dir(f.path)
	paths := []*string{&f.Data, &f.Keys, &f.RootKey.file, &f.Listen.Control, &f.ACME.Cache, &f.ACME.Roots, &f.Mail.Password.file, &f.Mail.Roots}
	for i := range f.Certificates {
		paths = append(paths, &f.Certificates[i].Cert, &f.Certificates[i].Key)
	}
	for i := range f.Backup.Targets {
		paths = append(paths, &f.Backup.Targets[i].Key.file)
		if to := &f.Backup.Targets[i].To; !strings.HasPrefix(*to, "s3://") {
			paths = append(paths, to)
		}
	}
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	if f.Listen.Control == "" {
		f.Listen.Control = filepath.Join(f.Data, "control.sock")
	}
	if f.ACME.Cache == "" {
		f.ACME.Cache = filepath.Join(f.Keys, "acme")
	}
}
