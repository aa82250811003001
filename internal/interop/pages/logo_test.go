//go:build interop

package pages

import (
	"bytes"
	"image/png"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/internal/interop/browser"
)

// If the logo of an app cannot be loaded, browsers draw a broken frame. The page covers it with a
// letter.
func TestALogoThatIsGoneLeavesALetter(t *testing.T) {
	origin := serve(t, web.Options{Service: "Acme"})
	tab := browser.Start(t, "--ignore-certificate-errors").Tab(t)
	for _, d := range []browser.Device{{Width: 1024, Height: 768}, {Width: 1024, Height: 768, Dark: true}} {
		tab.Emulate(d)
		tab.Open(origin + "/pages/en/logo-gone")
		var at struct{ X, Y float64 }
		tab.Eval(`(r => ({X: r.x, Y: r.y}))(document.querySelector('.app-logo').getBoundingClientRect())`, &at)
		picture, err := png.Decode(bytes.NewReader(tab.Picture()))
		if err != nil {
			t.Fatal(err)
		}
		want := map[bool][3]uint32{false: {0xdf, 0xe2, 0xea}, true: {0x2d, 0x32, 0x40}}[d.Dark] // --signet-line
		for _, p := range [][2]int{{8, 8}, {3, 28}, {28, 1},
			{50, 50}} { // where the frame and its sign would be
			r, g, b, _ := picture.At(int(at.X)+p[0], int(at.Y)+p[1]).RGBA()
			if got := [3]uint32{r >> 8, g >> 8, b >> 8}; got != want {
				t.Errorf("dark %t: %v has the colour %x, want %x", d.Dark, p, got, want)
			}
		}
		for _, said := range tab.Said() {
			if !strings.Contains(said, "/gone.png") {
				t.Errorf("the browser says %q", said)
			}
		}
		tab.Screenshot(map[bool]string{false: "logo-gone-light", true: "logo-gone-dark"}[d.Dark])
	}
}
