package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// With room for messages and none for a file, its sender hears why it is not taken, and nothing of it stays; all else goes on, and the file is
// taken once there is room.
func TestNoRoomForFiles(t *testing.T) {
	t.Parallel()
	d := visited(t)
	noRoomForFiles(t, d, filepath.Join(d.dir, "data"), func() { limitFiles(t, d, 1<<20) }, func() { limitFiles(t, d, unix.RLIM_INFINITY) })
}

// The same on a file system that is full.
func TestFullFileSystemForFiles(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "TestNoRoomForFiles")
	data := filepath.Join(disk, "data")
	d := visited(t, "-set", "data="+data, "-set", "keys="+filepath.Join(disk, "keys"))
	filler := filepath.Join(disk, "filler")
	noRoomForFiles(t, d, data, func() {
		fill(t, filler)
		is, err := os.Stat(filler)
		if err == nil {
			err = os.Truncate(filler, is.Size()-512<<10) // for messages
		}
		if err != nil {
			t.Fatal(err)
		}
	}, func() {
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
	})
}

func noRoomForFiles(t *testing.T, d *daemon, data string, full, room func()) {
	anna := d.login("anna", "correct horse 42", "phone").in(t)
	anna.available("")
	is := d.openContact(`{"id":"0123456789abcdef","name":"Mia","text":"Look at this"}`)
	_, next := d.joinContact(is.Token, 0)
	address := is.Contact.ID + "@visitors.desk.example"
	anna.until("an offer", func(x *tree) bool { return strings.HasPrefix(x.attr("from"), address) && x.child("body") != nil })
	say := func(id string) {
		t.Helper()
		anna.send("<message type='chat' to='%s' id='%s'><body>Yes?</body></message>", address, id)
		for next("message").ID != id {
		}
	}
	say("a1")
	large := bytes.Repeat([]byte("large "), 300_000)
	type answer struct {
		Code, Detail string
		File         sentFile
	}
	upload := func(body io.Reader) (status int, got answer) {
		r, err := http.NewRequestWithContext(t.Context(), "POST", "https://desk.example/visit/desk/files?name=x.txt", body)
		if err != nil {
			return 0, answer{Detail: err.Error()}
		}
		r.Header.Set("Authorization", "Bearer "+is.Token)
		r.Header.Set("Content-Type", "text/plain")
		resp, err := d.visitors().Do(r)
		if err != nil {
			return 0, answer{Detail: err.Error()}
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
			got.Detail = err.Error()
		}
		return resp.StatusCode, got
	}
	links := make(map[string][]byte)
	check := func() {
		t.Helper()
		for link, want := range links {
			if resp, all := d.web("GET", link, nil); resp.StatusCode != http.StatusOK || !bytes.Equal(all, want) {
				t.Errorf("%s gives %s, %d bytes", link, resp.Status, len(all))
			}
		}
		there, err := filepath.Glob(filepath.Join(data, "accounts/desk/files/*/*"))
		if err != nil || len(there) != len(links) {
			t.Errorf("there are %v, %v, want %d", there, err, len(links))
		}
	}
	status, got := upload(strings.NewReader("small"))
	if status != http.StatusCreated {
		t.Fatalf("%d %+v", status, got)
	}
	links[got.File.URL] = []byte("small")

	body, file := io.Pipe()
	end := make(chan struct{})
	go func() {
		defer close(end)
		status, got = upload(body)
		body.CloseWithError(io.EOF) // of the rest nobody wants to know
	}()
	half := len(large) / 2
	if _, err := file.Write(large[:half]); err != nil {
		t.Fatal(err)
	}
	full()
	go func() {
		_, err := file.Write(large[half:])
		file.CloseWithError(err)
	}()
	<-end
	if status != http.StatusServiceUnavailable || got.Code != "unavailable" || !strings.Contains(got.Detail, "no room for this file") {
		t.Errorf("a visitor's file, with no room, is answered with %d %+v", status, got)
	}
	slot := anna.slot("plan.txt", "text/plain", len(large)).child("slot")
	put, get := slot.child("put").attr("url"), slot.child("get").attr("url")
	if resp, all := d.web("PUT", put, large); resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(all), "no room for this file") {
		t.Errorf("an agent's file, with no room, is answered with %s %s", resp.Status, all)
	}
	d.says("there is no room for a file")
	say("a2")
	check()

	room()
	if resp, all := d.web("PUT", put, large); resp.StatusCode != http.StatusCreated {
		t.Errorf("an agent's file is answered with %s %s", resp.Status, all)
	}
	if status, got = upload(bytes.NewReader(large)); status != http.StatusCreated {
		t.Errorf("a visitor's file is answered with %d %+v", status, got)
	}
	links[get], links[got.File.URL] = large, large
	say("a3")
	check()
	d.end(syscall.SIGKILL)
	d.start()
	check()
}
