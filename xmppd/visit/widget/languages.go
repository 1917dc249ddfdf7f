package widget

import (
	"io/fs"
	"strings"
)

// Languages are those that the widget speaks.
func Languages() (list []string) {
	files, err := fs.ReadDir(embedded, "web/lang")
	if err != nil {
		panic(err) // they are in the program itself
	}
	for _, f := range files {
		list = append(list, strings.TrimSuffix(f.Name(), ".js"))
	}
	return list
}
