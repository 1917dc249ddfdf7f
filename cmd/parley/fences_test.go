package main

import (
	"strings"
	"testing"
)

// A fence is a block of code in a page.
type fence struct {
	heading  string // what it stands below
	language string // "" is what somebody types at a terminal
	text     string
	line     int
}

// fences are a page's, in their order.
func fences(page string) (list []fence) {
	var open *fence
	heading, line := "", 0
	for text := range strings.Lines(page) {
		line++
		mark, fenced := strings.CutPrefix(text, "```")
		switch {
		case open == nil && fenced:
			open = &fence{heading: heading, language: strings.TrimSpace(mark), line: line}
		case open != nil && fenced:
			list = append(list, *open)
			open = nil
		case open != nil:
			open.text += text
		case strings.HasPrefix(text, "#"):
			heading = strings.TrimSpace(strings.TrimLeft(text, "#"))
		}
	}
	return list
}

// typed are the lines after "$ ", without the notes behind them.
func (f *fence) typed() (lines []string) {
	for line := range strings.Lines(f.text) {
		if line, ok := strings.CutPrefix(line, "$ "); ok {
			line, _, _ = strings.Cut(line, "  #")
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// blocksOf are the blocks of a page in that language, in their order.
func blocksOf(page, language string) (list []string) {
	for _, f := range fences(page) {
		if f.language == language {
			list = append(list, f.text)
		}
	}
	return list
}

// typedLines are the lines to be typed that stand below a heading.
func typedLines(page, heading string) (lines []string) {
	for _, f := range fences(page) {
		if f.heading == heading {
			lines = append(lines, f.typed()...)
		}
	}
	return lines
}

// shown says which test runs or compares the blocks of a page, by their language. A page's
// test takes them from the page, all of a language, so that none is left out.
var shown = map[string]map[string]string{
	"docs/operations.md": {
		"":     "TestAnOperatorsFirstDay; what begins with docker: TestRelease",
		"ini":  "TestAnOperatorsFirstDay",
		"yaml": "TestAnOperatorsFirstDay",
		"toml": "TestOperationsConfigurations, and those of backups and mail TestAnOperatorsFirstDay",
	},
	"docs/webhooks.md": {
		"":       "TestAnOperatorsFirstDay",
		"sh":     "TestWebhookDocs",
		"bash":   "TestWebhookDocs",
		"python": "TestWebhookDocs, and the bot TestWebhookBot",
		"shell":  "TestWebhookBot",
		"go":     "TestWebhookDocsInGo",
		"json":   "TestDocsShowRealBodies, in xmppd/hook",
	},
	"docs/routing.md": {
		"toml": "TestOperationsConfigurations",
	},
	"docs/visitors.md": {
		"":     "TestVisitorsDocsRequests",
		"json": "TestVisitorsDocsIdentity",
		"html": "TestVisitorsDocsLine",
	},
	"docs/api.md": {
		"sh":   "TestAPIDocs",
		"go":   "TestAPIDocs",
		"json": "TestAPIDocs",
	},
}

// Whatever the pages for operators and integrators show in a block is run, read or compared by a test.
func TestEachBlockHasATest(t *testing.T) {
	t.Parallel()
	for page, languages := range shown {
		found := make(map[string]bool)
		for _, f := range fences(pages(t)[page]) {
			found[f.language] = true
			if languages[f.language] == "" {
				t.Errorf("%s:%d: no test looks at a block of %q", page, f.line, f.language)
			}
			if f.language == "" && page != visitorsPage && !strings.HasPrefix(f.text, "docker ") && len(f.typed()) != strings.Count(f.text, "\n") {
				t.Errorf("%s:%d: only lines after \"$ \" are run:\n%s", page, f.line, f.text)
			}
		}
		for language, test := range languages {
			if !found[language] {
				t.Errorf("%s has no block of %q any more, which %s looks at", page, language, test)
			}
		}
	}
}
