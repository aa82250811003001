package main

import (
	"io"
	"os"
	"strings"

	"rsc.io/qr"
)

// drawFor draws address as a QR code for a phone, if out is a terminal. A file or a pipe gets none.
func drawFor(out io.Writer, address string) error {
	f, ok := out.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	picture, err := picture(address)
	if err != nil {
		return nil // a picture is a comfort: the address stands above
	}
	_, err = io.WriteString(f, picture)
	return err
}

// border is the width of the white border around a QR code, in modules.
const border = 4

// picture returns text as a QR code: two rows of modules to a line, in black on white whatever the
// colours of the terminal are.
func picture(text string) (string, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for y := -border; y < code.Size+border; y += 2 {
		b.WriteString("\x1b[30;107m")
		for x := -border; x < code.Size+border; x++ {
			above, below := code.Black(x, y), code.Black(x, y+1)
			switch {
			case above && below:
				b.WriteRune('█')
			case above:
				b.WriteRune('▀')
			case below:
				b.WriteRune('▄')
			default:
				b.WriteByte(' ')
			}
		}
		b.WriteString("\x1b[0m\n")
	}
	return b.String(), nil
}
