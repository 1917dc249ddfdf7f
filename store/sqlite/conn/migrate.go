package conn

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// ErrNewer says that a file was written by a newer program.
var ErrNewer = errors.New("was written by a newer version of this program")

// SchemaVersion is the newest schema that numbered scripts in dir make ("0001_first.sql", …).
func SchemaVersion(scripts fs.FS, dir string) int {
	names, _ := fs.Glob(scripts, dir+"/[0-9]*.sql") // the pattern is good
	return len(names)
}

// Migrate brings the file's schema up to the numbered scripts in dir, each in a transaction
// of its own. Of a file that holds something already a copy is made before: see Copies. It
// may be stopped at any point and called again.
func (c *Conn) Migrate(scripts fs.FS, dir string) error {
	have, err := c.Number("PRAGMA user_version")
	if err != nil {
		return err
	}
	if want := SchemaVersion(scripts, dir); have > 0 && int(have) < want {
		if err := c.copyBefore(want); err != nil {
			return fmt.Errorf("copy it before it is migrated to %d: %w", want, err)
		}
	}
	return c.MigrateCopy(scripts, dir)
}

// MigrateCopy is Migrate for a file that is a copy itself, so that no other is made.
func (c *Conn) MigrateCopy(scripts fs.FS, dir string) error {
	names, err := fs.Glob(scripts, dir+"/[0-9]*.sql")
	if err != nil {
		return err
	}
	have, err := c.Number("PRAGMA user_version")
	if err != nil {
		return err
	}
	if int(have) > len(names) {
		return fmt.Errorf("it has schema %d, this program knows %d: %w", have, len(names), ErrNewer)
	}
	for i := int(have); i < len(names); i++ {
		script, err := fs.ReadFile(scripts, names[i])
		if err != nil {
			return err
		}
		err = c.InTx(func() error {
			if err := c.Script(string(script)); err != nil {
				return err
			}
			return c.Script(fmt.Sprintf("PRAGMA user_version = %d", i+1))
		})
		if err != nil {
			return fmt.Errorf("migrate to %d: %w", i+1, err)
		}
	}
	return nil
}

// Schema is the present schema as one script.
func (c *Conn) Schema() (string, error) {
	var b strings.Builder
	err := c.Query(`SELECT sql
		FROM sqlite_schema
		WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'
		ORDER BY rowid`, nil, func(r Row) error {
		b.WriteString(r.Text(0) + ";\n\n")
		return nil
	})
	return b.String(), err
}
