package qr

import (
	"encoding/xml"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"rsc.io/qr"
)

// keyURI is what an authenticator app scans.
const keyURI = "otpauth://totp/Acme:ada@x.test?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Acme"

// picture is what an SVG may hold, and nothing else.
type picture struct {
	XMLName xml.Name   `xml:"http://www.w3.org/2000/svg svg"`
	Attrs   []xml.Attr `xml:",any,attr"`
	ViewBox string     `xml:"viewBox,attr"`
	Role    string     `xml:"role,attr"`
	Label   string     `xml:"aria-label,attr"`
	Hidden  string     `xml:"aria-hidden,attr"`
	Rect    []struct {
		Width  int    `xml:"width,attr"`
		Height int    `xml:"height,attr"`
		Fill   string `xml:"fill,attr"`
	} `xml:"rect"`
	Path []struct {
		Fill string `xml:"fill,attr"`
		D    string `xml:"d,attr"`
	} `xml:"path"`
	Others []struct{} `xml:",any"`
}

var run = regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-(\d+)z`)

// draw parses an SVG and returns its modules by column and row, the quiet zone included.
func draw(t *testing.T, svg []byte) (p picture, black [][]bool) {
	t.Helper()
	if err := xml.Unmarshal(svg, &p); err != nil {
		t.Fatalf("%v: %s", err, svg)
	}
	var x, y, width, height int
	if _, err := fmt.Sscanf(p.ViewBox, "%d %d %d %d", &x, &y, &width, &height); err != nil || x != 0 || y != 0 ||
		width != height {
		t.Fatalf("the view box is %q", p.ViewBox)
	}
	if len(p.Rect) != 1 || len(p.Path) != 1 || len(p.Others) != 0 || p.Rect[0].Width != width ||
		p.Rect[0].Height != height || p.Rect[0].Fill != "#fff" || p.Path[0].Fill != "#000" {
		t.Fatalf("%+v", p)
	}
	black = make([][]bool, width)
	for i := range black {
		black[i] = make([]bool, height)
	}
	if rest := run.ReplaceAllString(p.Path[0].D, ""); rest != "" {
		t.Fatalf("the path has %q", rest)
	}
	for _, m := range run.FindAllStringSubmatch(p.Path[0].D, -1) {
		var x, y, right, left int
		if _, err := fmt.Sscan(strings.Join(m[1:], " "), &x, &y, &right, &left); err != nil || right != left {
			t.Fatalf("%v: %s", err, m[0])
		}
		for ; right > 0; right, x = right-1, x+1 {
			if black[x][y] {
				t.Fatalf("the module %d %d is drawn twice", x, y)
			}
			black[x][y] = true
		}
	}
	return p, black
}

func TestThePictureIsTheCode(t *testing.T) {
	for _, text := range []string{
		"", "1", "HELLO", keyURI,
		strings.Repeat("日本語", 100), strings.Repeat("x", 2331), // the last one is the longest text
	} {
		svg, err := SVG(text, "")
		if err != nil {
			t.Fatal(err)
		}
		want, err := qr.Encode(text, qr.M)
		if err != nil {
			t.Fatal(err)
		}
		_, black := draw(t, svg)
		if len(black) != want.Size+8 {
			t.Fatalf("%d modules, want %d and a border of 4", len(black), want.Size)
		}
		for x := range black {
			for y := range black {
				// Outside of the code Black is false: the quiet zone.
				if black[x][y] != want.Black(x-4, y-4) {
					t.Fatalf("%.40q: the module %d %d is wrong", text, x, y)
				}
			}
		}
		// The finder pattern in the corner is where the border ends.
		if !black[4][4] || !black[10][4] || black[11][4] || black[5][5] || !black[6][6] {
			t.Errorf("%.40q: no finder pattern", text)
		}
	}
}

func TestTheNameOfThePicture(t *testing.T) {
	for _, label := range []string{"QR code of the key", `"><script>alert(1)</script>&amp;'`, "日本語", "a\x00\n\xffb"} {
		svg, err := SVG("text", label)
		if err != nil {
			t.Fatal(err)
		}
		p, _ := draw(t, svg)
		want := strings.NewReplacer("\x00", "\ufffd", "\xff", "\ufffd").Replace(label)
		if p.Role != "img" || p.Label != want || p.Hidden != "" {
			t.Errorf("%q: %q %q %q", label, p.Role, p.Label, p.Hidden)
		}
		if strings.Contains(string(svg), "script") && strings.Contains(string(svg), "<script") {
			t.Errorf("%s", svg)
		}
	}
	svg, err := SVG("text", "")
	if err != nil {
		t.Fatal(err)
	}
	if p, _ := draw(t, svg); p.Role != "" || p.Label != "" || p.Hidden != "true" {
		t.Errorf("without a name: %+v", p)
	}
}

// A page's policy allows no style and no script of its own, and an SVG may bring neither.
func TestThePictureNeedsNothingOfAPolicy(t *testing.T) {
	svg, err := SVG(keyURI, "QR code")
	if err != nil {
		t.Fatal(err)
	}
	text := string(svg)
	for _, forbidden := range []string{"style", "script", "href", "url(", "<?", "<!", "class", "GEZDGNBV", " on"} {
		if strings.Contains(text, forbidden) {
			t.Errorf("the picture has %q", forbidden)
		}
	}
	if strings.Count(text, "://") != 1 || !strings.HasPrefix(text, `<svg xmlns="http://www.w3.org/2000/svg" `) {
		t.Errorf("%.200s", text)
	}
}

func TestATextThatIsTooLongIsNoPicture(t *testing.T) {
	const secret = "secret"
	svg, err := SVG(strings.Repeat(secret, 1000), "")
	if err == nil || svg != nil || strings.Contains(err.Error(), secret) {
		t.Errorf("%d bytes, %v", len(svg), err)
	}
}
