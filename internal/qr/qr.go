// Package qr draws QR codes: the key of an authenticator app, and the address of a page that a person
// goes on with on a phone. It is the only package that imports the library for them.
package qr

import (
	"bytes"
	"encoding/xml"
	"fmt"

	"rsc.io/qr"
)

// quietZone is the width in modules of the white border that ISO/IEC 18004 requires.
const quietZone = 4

// SVG returns text as a QR code: an SVG that stands alone or inside a page. It has no script, no
// style and no reference, so it needs nothing of a Content-Security-Policy. It has no size of its
// own: the page gives it one.
//
// The colours are fixed and the background is drawn, because many scanners read no light code on
// a dark page. label is the accessible name of the picture; without one the picture is hidden from
// assistive technology, and the text around it must say what it is.
func SVG(text, label string) (svg []byte, err error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return nil, fmt.Errorf("draw a QR code: %w", err)
	}
	name := []byte(` aria-hidden="true"`)
	if label != "" {
		var escaped bytes.Buffer
		_ = xml.EscapeText(&escaped, []byte(label)) // a bytes.Buffer takes everything
		name = fmt.Appendf(nil, ` role="img" aria-label="%s"`, escaped.Bytes())
	}
	size := code.Size + 2*quietZone
	svg = fmt.Appendf(svg, `<svg xmlns="http://www.w3.org/2000/svg"%s viewBox="0 0 %d %d" shape-rendering="crispEdges">`,
		name, size, size)
	svg = fmt.Appendf(svg, `<rect width="%d" height="%d" fill="#fff"/><path fill="#000" d="`, size, size)
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			if !code.Black(x, y) {
				continue
			}
			start := x
			for code.Black(x, y) {
				x++
			}
			svg = fmt.Appendf(svg, "M%d %dh%dv1h-%dz", start+quietZone, y+quietZone, x-start, x-start)
		}
	}
	return append(svg, `"/></svg>`...), nil
}
