package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The pictures of docs/pictures are small, since whoever clones gets them, and each is shown by a page.
func TestPagesLeadToPictures(t *testing.T) {
	const most = 60_000
	pictures, err := filepath.Glob(filepath.Join(root, "docs/pictures/*"))
	if err != nil || len(pictures) == 0 {
		t.Fatalf("no pictures: %v", err)
	}
	var shown strings.Builder
	for _, text := range pages(t) {
		shown.WriteString(text)
	}
	for _, p := range pictures {
		info, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > most {
			t.Errorf("%s has %d bytes: pngquant makes it smaller, and %d are enough", p, info.Size(), most)
		}
		if !strings.Contains(shown.String(), "](pictures/"+filepath.Base(p)+")") {
			t.Errorf("%s is shown by no page", p)
		}
	}
}
