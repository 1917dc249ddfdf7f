package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// An instruction is one of a Dockerfile.
type instruction struct{ name, args string }

// dockerfile is the repository's, and where its last stage begins.
func dockerfile(t *testing.T) (list []instruction, last int) {
	t.Helper()
	text := strings.ReplaceAll(contentsOf(t, root+"/Dockerfile"), "\\\n", " ")
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, args, _ := strings.Cut(line, " ")
		if name == "FROM" {
			last = len(list)
		}
		list = append(list, instruction{name, strings.TrimSpace(args)})
	}
	return list, last
}

// of are the arguments of the instructions with that name.
func of(list []instruction, name string) (args []string) {
	for _, i := range list {
		if i.name == name {
			args = append(args, i.args)
		}
	}
	return args
}

// volumes are the folders that the container may write to.
func volumes(t *testing.T, list []instruction) (folders []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(strings.Join(of(list, "VOLUME"), "")), &folders); err != nil {
		t.Fatalf("VOLUME: %v", err)
	}
	return folders
}

var (
	pinned     = regexp.MustCompile(`^[a-z/]+:\d+\.\d+(\.\d+)?(-[a-z]+)?$`)
	numericIDs = regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`)
)

// The image is built from pinned versions, holds nothing but what it needs, and runs as
// somebody who can do little.
func TestDockerfileKeepsItsPromises(t *testing.T) {
	list, last := dockerfile(t)
	final := list[last:]
	goes := strings.TrimSpace(output(t, "go", "list", "-m", "-f", "{{.GoVersion}}"))
	for _, from := range of(list, "FROM") {
		image, _, _ := strings.Cut(from, " ")
		if !pinned.MatchString(image) {
			t.Errorf("FROM %s: not a version but whatever is newest", from)
		}
		if tag, ok := strings.CutPrefix(image, "golang:"); ok && !strings.HasPrefix(tag, strings.TrimSuffix(goes, ".0")+".") {
			t.Errorf("FROM %s: go.mod wants Go %s", from, goes)
		}
	}
	if user := of(final, "USER"); len(user) != 1 || !numericIDs.MatchString(user[0]) {
		t.Errorf("USER %q: want one that is not root, by number", user)
	}
	for _, i := range final {
		if i.name == "COPY" && !strings.HasPrefix(i.args, "--from=build ") || i.name == "ADD" {
			t.Errorf("%s %s: the image holds nothing but what was built", i.name, i.args)
		}
	}
	for _, i := range list {
		if i.name == "ENV" || i.name == "ARG" {
			for _, word := range []string{"KEY", "PASSWORD", "SECRET", "TOKEN"} {
				if strings.Contains(strings.ToUpper(i.args), word) {
					t.Errorf("%s %s: what is in an image is no secret", i.name, i.args)
				}
			}
		}
	}
	if got, want := volumes(t, final), []string{"/etc/parley", "/var/lib/parley", "/var/lib/parley-keys"}; !slices.Equal(got, want) {
		t.Errorf("VOLUME %q, want %q: keys apart from data", got, want)
	}
	if got, want := strings.Join(of(final, "EXPOSE"), " "), "5222 5223 8443"; got != want {
		t.Errorf("EXPOSE %s, want the ports that are the defaults, %s", got, want)
	}
	// A shell in between would not pass SIGTERM on.
	if cmd := of(final, "CMD"); len(cmd) != 1 || cmd[0] != `["/usr/bin/parley", "serve"]` {
		t.Errorf("CMD %q", cmd)
	}
	// Once there is 'parley probe', it says whether the container is well.
	if _, _, err := findCommand([]string{"probe"}); err == nil && len(of(final, "HEALTHCHECK")) == 0 {
		t.Error(`no HEALTHCHECK: want HEALTHCHECK --start-period=2m CMD ["/usr/bin/parley", "probe"]`)
	}
}

// What is sent to a build is only what is listed: the Go packages that the binary is made of
// are, and files with secrets are not.
func TestDockerignoreListsWhatIsNeeded(t *testing.T) {
	t.Parallel()
	var let []string
	lines := strings.Split(strings.TrimSpace(contentsOf(t, root+"/.dockerignore")), "\n")
	for _, line := range lines {
		if name, ok := strings.CutPrefix(line, "!"); ok {
			let = append(let, name)
		}
	}
	if !slices.Contains(lines, "*") || !slices.Contains(lines, "**/*.key") || slices.Contains(let, ".git") {
		t.Errorf(".dockerignore lets in more than what it lists:\n%s", strings.Join(lines, "\n"))
	}
	cmd := exec.Command("go", "list", "-deps", "-f", `{{if not .Standard}}{{if eq .Module.Path "parley.im/parley"}}{{.ImportPath}}
{{range .EmbedFiles}}{{$.ImportPath}}/{{.}}
{{end}}{{end}}{{end}}`, "./cmd/parley")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for path := range strings.FieldsSeq(string(out)) {
		top, _, _ := strings.Cut(strings.TrimPrefix(path, module), "/")
		if !slices.Contains(let, top) || strings.Contains(path, "/testdata/") || strings.HasSuffix(path, ".pem") || strings.HasSuffix(path, ".key") {
			t.Errorf(".dockerignore keeps %s out, which the binary is made of", top)
		}
	}
}

// builds does what the Dockerfile says before its last stage, line by line, with the files that
// .dockerignore lets in.
func (m *machine) builds(stage []instruction) {
	m.t.Helper()
	folder := of(stage, "WORKDIR")[0]
	args := []string{"-C", root, "-c"}
	for line := range strings.Lines(contentsOf(m.t, root+"/.dockerignore")) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "!"); ok {
			args = append(args, name)
		} else if pattern, ok := strings.CutPrefix(line, "**/"); ok {
			args = slices.Insert(args, 2, "--exclude="+pattern)
		}
	}
	sent, err := exec.Command("tar", args...).Output()
	if err != nil {
		m.t.Fatal(err)
	}
	unpack := m.command("mkdir " + folder + " && tar -x -C " + folder)
	unpack.Stdin = bytes.NewReader(sent)
	if out, err := unpack.CombinedOutput(); err != nil {
		m.t.Fatalf("%v\n%s", err, out)
	}
	env := append(append(os.Environ(), of(stage, "ENV")...), "VERSION=v0.0.1", "COMMIT=0123456789abcdef")
	for _, i := range stage {
		line := "cd " + folder + " && "
		switch i.name {
		case "COPY": // what is copied is there
			line += "ls " + strings.Join(strings.Fields(i.args)[:len(strings.Fields(i.args))-1], " ")
		case "RUN":
			line += i.args
		default:
			continue
		}
		cmd := m.command(line)
		cmd.Env = env
		if out, err := cmd.CombinedOutput(); err != nil {
			m.t.Fatalf("%s %s: %v\n%s", i.name, i.args, err, out)
		}
	}
}

// contained builds what the Dockerfile says, and does what docs/operations.md says for a container,
// in what a container is: a root that cannot be written to, three folders that can, and a user of
// its own.
func contained(t *testing.T) {
	list, last := dockerfile(t)
	final := list[last:]
	m := newMachine(t)
	m.builds(list[:last])
	for _, i := range final {
		switch i.name {
		case "COPY":
			paths, ok := strings.CutPrefix(i.args, "--from=build ")
			from, to, only := strings.Cut(paths, " ")
			if !ok || !only {
				t.Fatalf("COPY %s: this test knows another form", i.args)
			}
			m.do("[ " + from + " -ef " + to + " ] || cp " + from + " " + to)
		case "RUN":
			m.do(i.args)
		}
	}
	uid, _, _ := strings.Cut(of(final, "USER")[0], ":")
	in := func(line string) confinement {
		return confinement{user: uid, umask: "0022", writable: volumes(t, final), line: line}
	}
	var lines []string
	for line := range strings.Lines(contentsOf(t, root+"/docs/operations.md")) {
		if line, ok := strings.CutPrefix(line, "$run parley "); ok {
			lines = append(lines, "parley "+strings.TrimSpace(line))
		}
	}
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "parley quickstart ") || !strings.HasPrefix(lines[1], "parley agent add ") {
		t.Fatalf("in a container the first steps are %q: this test knows others", lines)
	}
	if out, err := m.confined(in(lines[0] + " -starttls 127.0.0.1:0 -tls 127.0.0.1:0 -https 127.0.0.1:0")).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", lines[0], err, out)
	}
	typesPassword(t, m.confined(in(lines[1])), "correct horse 42")
	var command []string
	if err := json.Unmarshal([]byte(of(final, "CMD")[0]), &command); err != nil {
		t.Fatal(err)
	}
	s := m.serve(in(strings.Join(command, " ")))
	m.signIn(s)
	if out, err := m.confined(in("parley agent list -account desk")).CombinedOutput(); err != nil || !strings.Contains(string(out), "anna") {
		t.Errorf("agent list: %v\n%s", err, out)
	}
	// That nothing else can be written is so, and not only hoped for.
	if out, err := m.confined(in("touch /usr/bin/other")).CombinedOutput(); err == nil || !strings.Contains(string(out), "Read-only") {
		t.Errorf("the root is not read-only: %v\n%s", err, out)
	}
	s.end()
}
