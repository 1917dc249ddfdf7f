package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// strictJSON reads JSON in which no name stands twice in an object, in whatever case: Go's
// reader takes "Label" for "label" and the last of both, others the first.
func strictJSON(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if err := uniqueNames(d); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("something follows the document")
	}
	return json.Unmarshal(data, v)
}

// uniqueNames reads one value.
func uniqueNames(d *json.Decoder) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	seen := make(map[string]bool)
	for d.More() {
		if delim == '{' {
			name, err := d.Token()
			if err != nil {
				return err
			}
			folded := strings.ToLower(fmt.Sprint(name))
			if seen[folded] {
				return fmt.Errorf("the name %q stands twice", name)
			}
			seen[folded] = true
		}
		if err := uniqueNames(d); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}
