package main

import (
	"bytes"
	"strings"
	"testing"

	"rsc.io/qr"
)

func TestThePictureIsTheCode(t *testing.T) {
	const address = "https://id.example/device?user_code=BCDF-GHJK-LMNP"
	drawn, err := picture(address)
	if err != nil {
		t.Fatal(err)
	}
	code, err := qr.Encode(address, qr.M)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(drawn, "\n"), "\n")
	if want := (code.Size + 2*border + 1) / 2; len(lines) != want {
		t.Fatalf("%d lines, want %d", len(lines), want)
	}
	for n, line := range lines {
		line, colours := strings.CutPrefix(line, "\x1b[30;107m")
		line, ends := strings.CutSuffix(line, "\x1b[0m")
		modules := []rune(line)
		if !colours || !ends || len(modules) != code.Size+2*border {
			t.Fatalf("line %d: %q", n, line)
		}
		for column, r := range modules {
			x, y := column-border, 2*n-border
			above, below := strings.ContainsRune("█▀", r), strings.ContainsRune("█▄", r)
			if above != code.Black(x, y) || below != code.Black(x, y+1) {
				t.Errorf("%d, %d: %q", x, y, r)
			}
		}
	}
}

func TestOnlyATerminalGetsAPicture(t *testing.T) {
	var out bytes.Buffer
	if err := drawFor(&out, "https://id.example"); err != nil || out.Len() > 0 {
		t.Errorf("%v, %q", err, out.String())
	}
}
