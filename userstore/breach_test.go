package userstore

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// SHA-1 of "password" is 5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8.
func TestBreachedAsksByPrefixOnly(t *testing.T) {
	const suffix = "1E4C9B93F3F0682250B6CF8331B7EE68FD8"
	other := "0018A45C4D1DEF81644B54AB7F969B88D65:10\r\n"
	for name, c := range map[string]struct {
		answer string
		code   string
	}{
		"once":                          {other + suffix + ":1\r\n", CodeBreached},
		"often":                         {other + suffix + ":9545824", CodeBreached},
		"in small letters":              {strings.ToLower(suffix) + ":3\n", CodeBreached},
		"never":                         {other, ""},
		"only to hide the length":       {other + suffix + ":0\r\n", ""},
		"nothing at all":                {"", ""},
		"another of which it is part":   {suffix[1:] + ":3\n0" + suffix + ":3\n", ""},
		"a page of a captive portal":    {"<html>" + suffix + "</html>", ""},
		"the suffix without a count":    {suffix + "\n", ""},
		"a count without digits is one": {suffix + ":many\n", CodeBreached},
	} {
		var asked []string
		a := &Accounts{BreachRange: func(_ context.Context, prefix string) (string, error) {
			asked = append(asked, prefix)
			return c.answer, nil
		}}
		if f := a.checkBreach(t.Context(), "password"); f.Code != c.code {
			t.Errorf("%s: %q, want %q", name, f.Code, c.code)
		}
		if strings.Join(asked, " ") != "5BAA6" {
			t.Errorf("%s: asked for %q", name, asked)
		}
	}
	if f := (&Accounts{}).checkBreach(t.Context(), "password"); f != (Fault{}) {
		t.Errorf("without a list: %v", f)
	}
	// Both forms are checked, as typed and as hashed: ｐａｓｓｗｏｒｄ is hashed as "password".
	a := &Accounts{BreachRange: func(_ context.Context, prefix string) (string, error) {
		if prefix == "5BAA6" {
			return suffix + ":1", nil
		}
		return "", nil
	}}
	if f := a.checkBreach(t.Context(), "ｐａｓｓｗｏｒｄ"); f.Code != CodeBreached {
		t.Errorf("full-width: %v", f)
	}
}

func TestF37BreachListThatIsAwayHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			answer func(ctx context.Context) error
			takes  time.Duration
		}{
			"refuses":            {func(context.Context) error { return errors.New("it answers 503") }, 0},
			"answers after 30 s": {func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, time.Second},
			"answers after 0.9 s": {func(ctx context.Context) error {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(900 * time.Millisecond):
					return nil
				}
			}, time.Second}, // two forms are asked for, and the second has what time the first left
		} {
			var log bytes.Buffer
			a := &Accounts{Log: slog.New(slog.NewTextHandler(&log, nil)),
				BreachRange: func(ctx context.Context, _ string) (string, error) { return "", c.answer(ctx) }}
			start := time.Now()
			if f := a.checkBreach(t.Context(), "ｐａｓｓｗｏｒｄ"); f != (Fault{}) {
				t.Errorf("F-37 %s: %v", name, f)
			}
			if took := time.Since(start); took != c.takes {
				t.Errorf("F-37 %s: took %v", name, took)
			}
			if lines := strings.Count(log.String(), "\n"); lines > 1 || strings.Contains(log.String(), "5BAA6") {
				t.Errorf("F-37 %s: logged %s", name, &log)
			}
		}
	})
}
