package jose

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwe"

	"github.com/signet-id/signet/internal/strictjson"
)

// KEK is a key-encryption key: 256 bits under a name derived from them. No way of printing a KEK
// shows the bits.
type KEK struct {
	ID  string
	key func() []byte // not the bytes: fmt does not ask for Format inside an unexported field
}

// Format writes the name, whatever the verb: a KEK in a log line or an error must not expose every
// key that it seals.
func (k KEK) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "KEK "+k.ID) }

// NewKEK makes one from the system's randomness and returns its text form.
func NewKEK() string {
	var key [32]byte
	rand.Read(key[:]) // never fails: it ends the process instead
	return base64.RawURLEncoding.EncodeToString(key[:])
}

// ParseKEK reads the text form: 32 bytes in base64url without padding. The
// error never repeats the text.
func ParseKEK(text string) (KEK, error) {
	raw, err := decodeSegment(nil, []byte(text))
	if err != nil || len(raw) != 32 {
		return KEK{}, errors.New("a key-encryption key is 32 bytes in base64url without padding, 43 characters; `signet keys new-kek` makes one")
	}
	k := KEK{key: func() []byte { return raw }}
	sum := sha256.Sum256(append([]byte("signet key-encryption key name\x00"), raw...))
	k.ID = hex.EncodeToString(sum[:8])
	return k, nil
}

// ErrNoKEK means that the sealed text names a key-encryption key that is not configured.
var ErrNoKEK = errors.New("sealed under a key-encryption key that is not configured")

// maxSealedBytes bounds the input of Open; an RSA-8192 private key takes 6 KiB.
const maxSealedBytes = 64 << 10

// sealedHeader is the protected header of everything that Seal makes, and the only one that Open
// accepts.
type sealedHeader struct {
	Algorithm  string `json:"alg"`
	Encryption string `json:"enc"`
	KEK        string `json:"kid"`
	Name       string `json:"name"`
}

// Seal encrypts plaintext as a compact JWE (dir, A256GCM). The protected header names the KEK and
// name (a kid), and so binds both: the sealed text of one row is not valid in another.
func Seal(plaintext []byte, kek KEK, name string) (string, error) {
	if kek.key == nil {
		return "", errors.New("there is no key-encryption key to seal with")
	}
	if name == "" || len(plaintext) == 0 {
		return "", errors.New("what is sealed needs a name and something in it")
	}
	header := jwe.NewHeaders()
	for member, value := range map[string]string{jwe.KeyIDKey: kek.ID, "name": name} {
		if err := header.Set(member, value); err != nil {
			return "", fmt.Errorf("seal %s: %w", name, err)
		}
	}
	sealed, err := jwe.Encrypt(plaintext, jwe.WithKey(jwa.DIRECT, kek.key()),
		jwe.WithContentEncryption(jwa.A256GCM), jwe.WithProtectedHeaders(header))
	if err != nil {
		return "", fmt.Errorf("seal %s: %w", name, err)
	}
	if len(sealed) > maxSealedBytes {
		return "", fmt.Errorf("seal %s: %d bytes are too many", name, len(plaintext))
	}
	return string(sealed), nil
}

// Open decrypts what Seal made for the same name, under the one of keks that the header names.
// ErrNoKEK if it names none of them.
func Open(sealed string, name string, keks ...KEK) ([]byte, error) {
	header, err := readSealed(sealed)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	if header.Name != name {
		return nil, fmt.Errorf("open %s: it was sealed as %.64q", name, header.Name)
	}
	for _, kek := range keks {
		if kek.key == nil || kek.ID != header.KEK {
			continue
		}
		plaintext, err := jwe.Decrypt([]byte(sealed), jwe.WithKey(jwa.DIRECT, kek.key()))
		if err != nil {
			return nil, fmt.Errorf("open %s: it was changed, or was not sealed by %v", name, kek)
		}
		return plaintext, nil
	}
	return nil, fmt.Errorf("open %s, sealed under %.64q: %w", name, header.KEK, ErrNoKEK)
}

// SealedUnder returns the id of the KEK that sealed was made with.
func SealedUnder(sealed string) (string, error) {
	header, err := readSealed(sealed)
	return header.KEK, err
}

var errNotSealed = errors.New("not a JWE that this program made")

// readSealed accepts only the one form that Seal makes: no other key management (PBES2 with a
// billion rounds), no other encryption, no zip bomb.
func readSealed(sealed string) (sealedHeader, error) {
	var h sealedHeader
	if len(sealed) > maxSealedBytes || strings.Count(sealed, ".") != 4 {
		return h, errNotSealed
	}
	segments := strings.Split(sealed, ".")
	var decoded [5][]byte
	for i, segment := range segments {
		var err error
		if decoded[i], err = decodeSegment(nil, []byte(segment)); err != nil {
			return h, errNotSealed
		}
	}
	if len(decoded[1]) != 0 || len(decoded[2]) != 12 || len(decoded[4]) != 16 {
		return h, errNotSealed
	}
	if strictjson.Unmarshal(decoded[0], &h, strictjson.RefuseUnknown) != nil ||
		h.Algorithm != "dir" || h.Encryption != "A256GCM" || h.KEK == "" || h.Name == "" {
		return sealedHeader{}, errNotSealed
	}
	return h, nil
}
