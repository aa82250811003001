package terminal

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"
)

func TestProgress(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	tell := func(bar bool, size int64) string {
		var out bytes.Buffer
		p := &Progress{Out: &out, Bar: bar, Size: size, Of: "accounts", Now: func() time.Time { return now }}
		in := p.Watch(strings.NewReader(strings.Repeat("x", 1000)))
		p.Show(1) // too soon
		for n := 1; n <= 4; n++ {
			io.CopyN(io.Discard, in, 250)
			now = now.Add(time.Minute)
			p.Show(n * 10)
			p.Show(n * 10) // too soon after
		}
		p.Hide()
		p.Hide()
		return out.String()
	}
	for name, c := range map[string]struct {
		bar  bool
		size int64
		want string
	}{
		"a terminal": {true, 1000,
			"\r[#######.......................]  25 %  10 accounts\r[###############...............]  50 %  20 accounts" +
				"\r[######################........]  75 %  30 accounts\r[##############################] 100 %  40 accounts\r\x1b[K"},
		"a terminal, of a pipe": {true, 0, "\r10 accounts\r20 accounts\r30 accounts\r40 accounts\r\x1b[K"},
		"a log": {false, 1000, "signet: 10 accounts, 25 % of the file\nsignet: 20 accounts, 50 % of the file\n" +
			"signet: 30 accounts, 75 % of the file\nsignet: 40 accounts, 100 % of the file\n"},
		"a log, of a pipe": {false, 0,
			"signet: 10 accounts\nsignet: 20 accounts\nsignet: 30 accounts\nsignet: 40 accounts\n"},
	} {
		if got := tell(c.bar, c.size); got != c.want {
			t.Errorf("%s:\n%q\nwant\n%q", name, got, c.want)
		}
	}
}
