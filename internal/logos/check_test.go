package logos

import (
	"bytes"
	"encoding/base64"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"
)

// WebP pictures of 40 by 24 pixels, written by libwebp, and one of 5000 by 30.
const (
	lossy    = "UklGRkwAAABXRUJQVlA4IEAAAABQAwCdASooABgAPm02l0ikIyIhJWgAgA2JZwDQvoAAK/fDcAD+8DhD/raTNCmQ//2ln/1LP/qWf4wj7LOgAAAA"
	lossless = "UklGRh4AAABXRUJQVlA4TBEAAAAvJ8AFAAdQjyLXo/+BiOh/AAA="
	alpha    = "UklGRnAAAABXRUJQVlA4WAoAAAAQAAAAJwAAFwAAQUxQSAoAAAABB1CyiAhERP8DVlA4IEAAAABQAwCdASooABgAPm02l0ikIyIhJWgAgA2JZwDQvoAAK/fDcAD+8DhD/raTNCmQ//2ln/1LP/qWf4wj7LOgAAAA"
	wide     = "UklGRigAAABXRUJQVlA4TBsAAAAvh1MHAAcQEf0PCEiS/v8nI/qf8Z///Of/QAEA"
)

func webp(t testing.TB, text string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// drawn returns a picture of some size in a format.
func drawn(t testing.TB, format string, width, height int) []byte {
	t.Helper()
	var out bytes.Buffer
	img := image.NewGray(image.Rect(0, 0, width, height))
	var err error
	switch format {
	case "png":
		err = png.Encode(&out, img)
	case "jpeg":
		err = jpeg.Encode(&out, img, nil)
	case "gif":
		err = gif.Encode(&out, img, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// a logo is a picture by its content, of pixels only, and of a size that browsers can hold.
func TestA34WhichPicturesAreShown(t *testing.T) {
	pngs := drawn(t, "png", 40, 24)
	for _, row := range []struct {
		name string
		body []byte
		want string // empty: refused
	}{
		{"PNG", pngs, "image/png"},
		{"JPEG", drawn(t, "jpeg", 40, 24), "image/jpeg"},
		{"GIF", drawn(t, "gif", 40, 24), "image/gif"},
		{"WebP, lossy", webp(t, lossy), "image/webp"},
		{"WebP, lossless", webp(t, lossless), "image/webp"},
		{"WebP with transparency", webp(t, alpha), "image/webp"},
		{"the largest", drawn(t, "png", 2048, 2048), "image/png"},

		{"nothing", nil, ""},
		{"SVG", []byte(`<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`), ""},
		{"SVG after a line", []byte("<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\"/>"), ""},
		{"HTML", []byte("<!doctype html><script>alert(1)</script>"), ""},
		{"an icon", []byte("\x00\x00\x01\x00\x01\x00\x10\x10"), ""},
		{"a BMP", []byte("BM\x3a\x00\x00\x00\x00\x00"), ""},
		{"HTML before a PNG", append([]byte("<script>alert(1)</script>"), pngs...), ""},
		{"only the first bytes of a PNG", pngs[:8], ""},
		{"a PNG that breaks off in its header", pngs[:20], ""},
		{"only the first bytes of a JPEG", []byte("\xff\xd8\xff"), ""},
		{"a sound", []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x44\xac\x00\x00"), ""},
		{"a WebP that breaks off", webp(t, lossy)[:25], ""},
		{"a WebP of an unknown kind", bytes.Replace(webp(t, lossy), []byte("VP8 "), []byte("VP9 "), 1), ""},
		{"a WebP without its start code", bytes.Replace(webp(t, lossy), []byte("\x9d\x01\x2a"), []byte("\x00\x01\x2a"), 1), ""},
		{"a wide PNG", drawn(t, "png", 2049, 1), ""},
		{"a high GIF", drawn(t, "gif", 1, 2049), ""},
		{"a wide WebP", webp(t, wide), ""},
		{"a large file", append(bytes.Clone(pngs), make([]byte, MaxBytes)...), ""},
	} {
		got, err := Check(row.body)
		if got != row.want || (err == nil) != (row.want != "") {
			t.Errorf("%s: %q, %v; want %q", row.name, got, err, row.want)
		}
	}
}

// A few bytes that promise 65535 by 65535 pixels are a decompression bomb.
func TestA34APictureThatUnfolds(t *testing.T) {
	bomb := drawn(t, "gif", 1, 1)
	copy(bomb[6:10], "\xff\xff\xff\xff")
	vp8x := webp(t, alpha)
	copy(vp8x[24:30], "\xff\xff\xff\xff\xff\xff")
	for name, body := range map[string][]byte{"GIF": bomb, "WebP": vp8x} {
		if got, err := Check(body); got != "" || err == nil || !strings.Contains(err.Error(), "pixels") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, text := range []string{lossy, lossless, alpha, wide} {
		f.Add(webp(f, text))
	}
	for _, format := range []string{"png", "jpeg", "gif"} {
		f.Add(drawn(f, format, 3, 2))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if mediaType, err := Check(body); (err == nil) != (mediaType != "") {
			t.Errorf("%q, %v", mediaType, err)
		}
	})
}
