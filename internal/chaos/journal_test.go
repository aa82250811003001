package chaos

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j, err := NewJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for client := range 20 {
		all.Go(func() {
			for n := range int64(50) {
				if err := j.Write(Record{Client: client, Number: n, Kind: Ask, Act: Refresh}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	// What Write has taken is in the file before the journal is closed.
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	next := map[int]int64{}
	count := func(r Record) error {
		if r.Number != next[r.Client] || r.Kind != Ask || r.Act != Refresh {
			t.Errorf("%+v, want number %d", r, next[r.Client])
		}
		next[r.Client]++
		return nil
	}
	if err := ReadJournal(bytes.NewReader(before), count); err != nil {
		t.Fatal(err)
	}
	for client := range 20 {
		if next[client] != 50 {
			t.Errorf("client %d wrote %d records", client, next[client])
		}
	}
	if _, err := NewJournal(path); err == nil {
		t.Error("a journal was overwritten")
	}
}

func TestJournalsThatWereCutOff(t *testing.T) {
	const whole = `{"t":1,"c":2,"n":3,"k":"ask","a":"signup","r":0}` + "\n"
	n := 0
	count := func(Record) error { n++; return nil }
	if err := ReadJournal(strings.NewReader(whole+whole[:20]), count); err != nil || n != 1 {
		t.Errorf("%d records, %v", n, err)
	}
	if err := ReadJournal(strings.NewReader(whole[:20]+"\n"+whole), count); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a line that is no record: %v", err)
	}
}
