package logos

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
)

// maxSide bounds the pixels of a side: a picture of a few bytes can unfold to more than a browser can
// hold.
const maxSide = 2048

// formats are the formats that every browser shows, and that hold nothing but pixels. SVG can hold
// links and scripts.
var formats = []struct {
	begins, mediaType string
	size              func(io.Reader) (image.Config, error)
}{
	{"\x89PNG\r\n\x1a\n", "image/png", png.DecodeConfig},
	{"\xff\xd8\xff", "image/jpeg", jpeg.DecodeConfig},
	{"GIF87a", "image/gif", gif.DecodeConfig},
	{"GIF89a", "image/gif", gif.DecodeConfig},
	{"RIFF", "image/webp", webpSize},
}

// Check returns the media type of a picture, which its content shows. The error says why it is not
// shown.
func Check(body []byte) (mediaType string, err error) {
	if len(body) > MaxBytes {
		return "", fmt.Errorf("it is larger than %d KiB", MaxBytes>>10)
	}
	for _, f := range formats {
		if !bytes.HasPrefix(body, []byte(f.begins)) {
			continue
		}
		c, err := f.size(bytes.NewReader(body))
		switch {
		case err != nil:
			return "", fmt.Errorf("it is a damaged %s: %w", f.mediaType, err)
		case c.Width < 1 || c.Height < 1 || c.Width > maxSide || c.Height > maxSide:
			return "", fmt.Errorf("it has %d by %d pixels: %d are the most on a side", c.Width, c.Height, maxSide)
		}
		return f.mediaType, nil
	}
	return "", errors.New("it is no picture in PNG, JPEG, GIF or WebP")
}

var errWebP = errors.New("its header is not one of WebP")

// webpSize reads the size of a WebP picture (RFC 9649 section 2.5 to 2.7).
func webpSize(r io.Reader) (c image.Config, err error) {
	var h [30]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return c, err
	}
	if string(h[8:12]) != "WEBP" {
		return c, errWebP
	}
	data := h[20:] // of the first chunk
	switch string(h[12:16]) {
	case "VP8 ": // a key frame, its start code, then 14 bits of width and height
		if data[0]&1 != 0 || string(data[3:6]) != "\x9d\x01\x2a" {
			return c, errWebP
		}
		c.Width = int(binary.LittleEndian.Uint16(data[6:]) & 0x3fff)
		c.Height = int(binary.LittleEndian.Uint16(data[8:]) & 0x3fff)
	case "VP8L": // a signature, then 14 bits of width and height, each less one
		if data[0] != 0x2f {
			return c, errWebP
		}
		bits := binary.LittleEndian.Uint32(data[1:])
		c.Width, c.Height = int(bits&0x3fff)+1, int(bits>>14&0x3fff)+1
	case "VP8X": // flags, then 24 bits of width and height, each less one
		c.Width = int(binary.LittleEndian.Uint32(data[4:])&0xffffff) + 1
		c.Height = int(binary.LittleEndian.Uint32(data[6:])>>8) + 1
	default:
		return c, errWebP
	}
	return c, nil
}
