package web

import (
	"strconv"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/languages"
)

// stay is the choice to stay signed in, with what it means in words.
type stay struct {
	Chosen        bool
	Idle, Longest string
}

func stayOf(l *languages.Language, s *Stay) *stay {
	if s == nil {
		return nil
	}
	return &stay{s.Chosen, span(l, s.Idle), span(l, s.Longest)}
}

// span writes a time: as days where it has two at least and they are whole, else as hours, of which a part counts as one.
func span(l *languages.Language, d time.Duration) string {
	const day = 24 * time.Hour
	unit, count := "pages.unit.hours", (d+time.Hour-1)/time.Hour
	if d >= 2*day && d%day == 0 {
		unit, count = "pages.unit.days", d/day
	}
	return strings.ReplaceAll(l.Text(unit), "{count}", strconv.FormatInt(int64(count), 10))
}
