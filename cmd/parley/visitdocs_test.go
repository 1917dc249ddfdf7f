package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const visitorsPage = "docs/visitors.md"

// The requests that docs/visitors.md shows are answered: each path is there for its method, and wants what the page says.
func TestVisitorsDocsRequests(t *testing.T) {
	t.Parallel()
	d := visited(t)
	is := d.openContact(`{"id":"0123456789abcdef","text":"Hello?"}`)
	found := 0
	for _, block := range blocksOf(pages(t)[visitorsPage], "") {
		for line := range strings.Lines(block) {
			request, note, _ := strings.Cut(strings.TrimSpace(line), "       ")
			method, path, _ := strings.Cut(request, " ")
			r, err := http.NewRequestWithContext(t.Context(), method, "https://desk.example"+strings.Replace(strings.TrimSpace(path), "{account}", "desk", 1), nil)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(note, "Bearer") {
				r.Header.Set("Authorization", "Bearer "+is.Token)
			}
			c := d.visitors()
			c.Timeout = 0 // an answer may be a stream
			resp, err := c.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			found++
			if s := resp.StatusCode; s == http.StatusMethodNotAllowed || s == http.StatusNotFound && !strings.Contains(path, "/files") || s == http.StatusUnauthorized || s >= 500 {
				t.Errorf("%s: %s", request, resp.Status)
			}
		}
	}
	if found < 5 {
		t.Errorf("%d requests, want five at least", found)
	}
}

// What docs/visitors.md has a shop sign is believed.
func TestVisitorsDocsIdentity(t *testing.T) {
	t.Parallel()
	d := visited(t)
	key := d.newKey("-role", "auditor", "-signing")
	parts := strings.Split(strings.TrimSpace(blocksOf(pages(t)[visitorsPage], "json")[0]), "\n")
	if len(parts) != 2 {
		t.Fatalf("the page shows %q", parts)
	}
	parts[0] = strings.Replace(parts[0], "ak_desk_…", key.ID, 1)
	parts[1] = regexp.MustCompile(`"exp": [0-9]+`).ReplaceAllString(parts[1], fmt.Sprintf(`"exp": %d`, time.Now().Add(4*time.Minute).Unix()))
	signed := segment(parts[0]) + "." + segment(parts[1])
	sum, err := jwt.SigningMethodHS256.Sign(signed, []byte(key.Secret))
	if err != nil {
		t.Fatal(err)
	}
	is := d.openContact(`{"id":"0123456789abcdef","identity":"` + signed + "." + segment(string(sum)) + `","text":"Hello?"}`)
	var shown struct{ Tags []string }
	answer := d.api("-role", "supervisor").ask("GET", "/v1/contacts/"+is.Contact.ID, "", 200, &shown)
	if !strings.Contains(answer.body, "Mia Rossi") || len(shown.Tags) != 1 || shown.Tags[0] != "identified" {
		t.Errorf("the contact is %s", answer.body)
	}
}

// The line that a shop puts on its pages leads to the script, which reads what the line says.
func TestVisitorsDocsLine(t *testing.T) {
	t.Parallel()
	d := visited(t)
	line := blocksOf(pages(t)[visitorsPage], "html")[0]
	src := regexp.MustCompile(`src="https://chat\.example(/[^"]*)"`).FindStringSubmatch(line)
	if src == nil || !strings.Contains(line, "data-account=") {
		t.Fatalf("the page shows %s", line)
	}
	resp, err := d.visitors().Get("https://desk.example" + src[1])
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	script, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(script), "dataset") || !strings.Contains(string(script), "account") {
		t.Errorf("%s, %v: %.200s", resp.Status, err, script)
	}
}

func segment(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
