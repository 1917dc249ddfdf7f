package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// names are those of figures, without labels.
func names(all map[string]float64) map[string]bool {
	m := make(map[string]bool)
	for name := range all {
		name, _, _ = strings.Cut(name, "{")
		m[name] = true
	}
	return m
}

func readDoc(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var metricRow = regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (counter|gauge) \\| \\S.* \\|$")

// WCP-23, SMO-10: docs/monitoring/metrics.md names every figure of ours that /metrics has,
// and none that it has not; the dashboard and the alert rules ask for figures that are there.
func TestMonitoringPagesAreTrue(t *testing.T) {
	t.Parallel()
	_, options := safes(t, t.TempDir(), "5m")
	var sets []string
	for _, o := range options {
		sets = append(sets, "-set", o)
	}
	d := healthy(t, sets...)
	there := names(d.figures())
	rows := metricRow.FindAllStringSubmatch(readDoc(t, "monitoring/metrics.md"), -1)
	told := make(map[string]bool)
	for _, m := range rows {
		if told[m[1]] {
			t.Errorf("metrics.md tells %s twice", m[1])
		}
		told[m[1]] = true
		if !there[m[1]] {
			t.Errorf("metrics.md tells of %s, which /metrics has not", m[1])
		}
		if strings.HasSuffix(m[1], "_total") && m[2] != "counter" {
			t.Errorf("metrics.md says that %s is a %s", m[1], m[2])
		}
	}
	for name := range there {
		if strings.HasPrefix(name, "parley_") && !told[name] {
			t.Errorf("metrics.md has no line for %s", name)
		}
	}

	var board map[string]any
	if err := json.Unmarshal([]byte(readDoc(t, "monitoring/grafana.json")), &board); err != nil {
		t.Fatal(err)
	}
	shown := expressions(board)
	if len(shown) < 20 {
		t.Errorf("the dashboard has only %d expressions", len(shown))
	}
	seen := make(map[string]bool)
	for _, e := range shown {
		for _, name := range metricsIn(t, e) {
			seen[name] = true
			if !there[name] {
				t.Errorf("the dashboard asks for %s, which /metrics has not: %s", name, e)
			}
		}
	}
	for name := range told {
		if !seen[name] {
			t.Errorf("the dashboard shows nothing of %s", name)
		}
	}
	rules := alertRules(t, readDoc(t, "monitoring/alerts.yml"))
	if len(rules) < 5 {
		t.Errorf("only %d alert rules", len(rules))
	}
	for _, r := range rules {
		for _, name := range metricsIn(t, r["expr"]) {
			if name != "up" && !there[name] { // up is Prometheus' own
				t.Errorf("%s asks for %s, which /metrics has not", r["alert"], name)
			}
		}
	}
}

// expressions are all that stand under "expr", and the query of a variable.
func expressions(v any) (all []string) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if text, ok := value.(string); ok && key == "expr" {
				all = append(all, text)
			}
			all = append(all, expressions(value)...)
		}
	case []any:
		for _, one := range v {
			all = append(all, expressions(one)...)
		}
	}
	return all
}

var (
	promQuoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	promLabels = regexp.MustCompile(`\{[^{}]*\}|\[[^\[\]]*\]|\b(?:on|by|without|ignoring)\s*\([^()]*\)`)
	promWord   = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*(\s*\()?`)
	promKnown  = map[string]bool{"sum": true, "min": true, "max": true, "rate": true, "increase": true, "changes": true}
)

// metricsIn are the metrics that an expression of PromQL asks for: words that are neither called
// nor operators. A function that it does not know is a fault.
func metricsIn(t *testing.T, expr string) (metrics []string) {
	t.Helper()
	bare := promLabels.ReplaceAllString(promQuoted.ReplaceAllString(expr, `""`), " ")
	if strings.Count(bare, "(") != strings.Count(bare, ")") || strings.ContainsAny(bare, "{}[]") {
		t.Errorf("brackets do not match: %s", expr)
	}
	for _, m := range promWord.FindAllStringSubmatch(bare, -1) {
		word := strings.TrimRight(m[0], " (")
		switch {
		case m[1] != "" && !promKnown[word]:
			t.Errorf("there is no function %s: %s", word, expr)
		case m[1] != "", word == "and", word == "or", word == "unless":
		default:
			metrics = append(metrics, word)
		}
	}
	if len(metrics) == 0 {
		t.Errorf("it asks for nothing: %s", expr)
	}
	return metrics
}

var ruleLine = regexp.MustCompile(`^(      - |        |          )(\w+):(?: (?:'([^']*)'|([\w]+)))?$`)

// alertRules reads alerts.yml, of which only a simple form is allowed: what Prometheus reads
// differently is not there.
func alertRules(t *testing.T, text string) (rules []map[string]string) {
	t.Helper()
	_, body, ok := strings.Cut(text, "\ngroups:\n  - name: parley\n    rules:\n")
	if !ok {
		t.Fatal("alerts.yml does not begin with its group")
	}
	for line := range strings.Lines(body) {
		m := ruleLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			t.Fatalf("alerts.yml: %q", line)
		}
		if m[1] == "      - " {
			rules = append(rules, make(map[string]string))
		}
		rules[len(rules)-1][m[2]] = m[3] + m[4]
	}
	for _, r := range rules {
		for _, key := range []string{"alert", "expr", "severity", "summary", "action"} {
			if r[key] == "" {
				t.Errorf("rule %s says nothing of %s", r["alert"], key)
			}
		}
		if r["severity"] != "page" && r["severity"] != "ticket" {
			t.Errorf("rule %s: severity %s", r["alert"], r["severity"])
		}
	}
	return rules
}

// Prometheus itself reads the rules.
func TestAlertRulesWithPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		missingTool(t, "promtool is not here; on Debian: apt-get install prometheus")
	}
	if out, err := exec.Command(promtool, "check", "rules", "../../docs/monitoring/alerts.yml").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// Profiles are for operators: the networks under [admin]. Others find nothing there.
func TestProfiles(t *testing.T) {
	t.Parallel()
	d := healthy(t, "-set", `admin.networks=["127.0.0.1/32"]`)
	_, nowhere := d.getFrom("127.0.0.2", "/nowhere")
	for path, want := range map[string]int{
		"heap?debug=1": 200, "goroutine?debug=1": 200, "goroutine?debug=2": 403, "profile?seconds=1": 200, "allocs": 200,
		"cmdline": 404, "": 404, "nothing": 404,
	} {
		if status, body := d.getFrom("127.0.0.1", "/debug/pprof/"+path); status != want || status == 200 && body == "" {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
		if status, body := d.getFrom("127.0.0.2", "/debug/pprof/"+path); status != http.StatusNotFound || body != nowhere {
			t.Errorf("%s for a stranger: %d %q", path, status, body)
		}
	}
	// As 'go tool pprof' asks for it: packed, and with the names of functions.
	_, body := d.getFrom("127.0.0.1", "/debug/pprof/heap")
	packed, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	profile, err := io.ReadAll(packed)
	if err != nil || !bytes.Contains(profile, []byte("inuse_space")) || !bytes.Contains(profile, []byte("parley.im/parley/")) {
		t.Errorf("a profile of the heap in %d bytes, %v", len(profile), err)
	}
}

// What the log counts, metrics count.
func TestMetricsOfOperation(t *testing.T) {
	t.Parallel()
	d := healthy(t)
	config := filepath.Join(d.dir, "parley.toml")
	before := d.figures()
	must(t, "", "agent", "disable", "ben@desk.example", "-config", config)
	after := d.figures()
	if after["parley_audit_records_total"] != before["parley_audit_records_total"]+1 || after["parley_accounts"] != 1 ||
		after["parley_panics_total"] != 0 || after[fmt.Sprintf("parley_build_info{version=%q}", version())] != 1 {
		t.Errorf("metrics %v", after)
	}
}
