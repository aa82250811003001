//go:build openssl

package jose

/*
#cgo pkg-config: --static libcrypto
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/opensslv.h>
#include <openssl/rsa.h>
#if OPENSSL_VERSION_MAJOR < 3
#error "make build-openssl needs OpenSSL 3 or later"
#endif

// Errors lie in a queue of the thread, and the next call of Go may run on another one. So each
// function returns the error that it met, or 0, and leaves the queue empty.
static unsigned long met(int ok) {
	unsigned long code = ok ? 0 : ERR_peek_last_error();
	ERR_clear_error();
	return ok ? 0 : code ? code : ERR_PACK(ERR_LIB_USER, 0, ERR_R_INTERNAL_ERROR);
}

// Without its configuration OpenSSL opens no file and loads no module: nothing outside the binary
// decides what signs.
static unsigned long rsa_key(const unsigned char *der, long size, EVP_PKEY **key) {
	return met(OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL) &&
		(*key = d2i_PrivateKey(EVP_PKEY_RSA, NULL, &der, size)) != NULL);
}

// A key may sign in several threads at once; a context may not, so each signature has its own.
static unsigned long rsa_sign(EVP_PKEY *key, int padding, const unsigned char *sha256, unsigned char *signature,
	size_t *size) {
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	unsigned long failed = met(ctx && EVP_PKEY_sign_init(ctx) > 0 && EVP_PKEY_CTX_set_rsa_padding(ctx, padding) > 0 &&
		EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) > 0 &&
		(padding != RSA_PKCS1_PSS_PADDING || EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) > 0) &&
		EVP_PKEY_sign(ctx, signature, size, sha256, 32) > 0);
	EVP_PKEY_CTX_free(ctx);
	return failed;
}
*/
import "C"

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"runtime"
	"unsafe"
)

// RSAImplementation names what makes RSA signatures in this binary: OpenSSL, with the version that
// is linked.
func RSAImplementation() string {
	return "OpenSSL " + C.GoString(C.OpenSSL_version(C.OPENSSL_VERSION_STRING))
}

// opensslRSA makes the RSA signatures of tokens, RS256 and PS256, by OpenSSL's libcrypto. The
// private key lies in libcrypto's memory, which is cleared when nothing refers to the opensslRSA
// any more.
type opensslRSA struct {
	public *rsa.PublicKey
	key    *C.EVP_PKEY
}

// rsaSigner returns what signs with the key.
func rsaSigner(key *rsa.PrivateKey) (crypto.Signer, error) {
	if err := key.Validate(); err != nil { // libcrypto takes any numbers
		return nil, err
	}
	der := x509.MarshalPKCS1PrivateKey(key)
	defer clear(der)
	s := &opensslRSA{public: &key.PublicKey}
	if code := C.rsa_key((*C.uchar)(&der[0]), C.long(len(der)), &s.key); code != 0 {
		return nil, opensslError(code)
	}
	runtime.AddCleanup(s, func(key *C.EVP_PKEY) { C.EVP_PKEY_free(key) }, s.key)
	return s, nil
}

// Public implements crypto.Signer.
func (s *opensslRSA) Public() crypto.PublicKey { return s.public }

// Sign implements crypto.Signer for what Signer asks for: a SHA-256 digest, and PKCS #1 v1.5 or PSS
// with a salt of 32 bytes (RFC 7518 sections 3.3 and 3.5). It refuses everything else. libcrypto
// has its own randomness.
func (s *opensslRSA) Sign(_ io.Reader, digest []byte, options crypto.SignerOpts) ([]byte, error) {
	if options.HashFunc() != crypto.SHA256 || len(digest) != sha256.Size {
		return nil, errors.New("only a SHA-256 digest is signed")
	}
	padding := C.int(C.RSA_PKCS1_PADDING)
	if pss, ok := options.(*rsa.PSSOptions); ok {
		if pss.SaltLength != rsa.PSSSaltLengthEqualsHash && pss.SaltLength != sha256.Size {
			return nil, errors.New("the salt is as long as the digest, and no other length is made")
		}
		padding = C.RSA_PKCS1_PSS_PADDING
	}
	signature := make([]byte, s.public.Size())
	size := C.size_t(len(signature))
	code := C.rsa_sign(s.key, padding, (*C.uchar)(&digest[0]), (*C.uchar)(unsafe.Pointer(&signature[0])), &size)
	runtime.KeepAlive(s)
	if code != 0 {
		return nil, opensslError(code)
	}
	return signature[:size], nil
}

// opensslError says what libcrypto says of a code. It names no secrets: codes are constants of the
// library.
func opensslError(code C.ulong) error {
	var text [256]C.char
	C.ERR_error_string_n(code, &text[0], C.size_t(len(text)))
	return fmt.Errorf("OpenSSL: %s", C.GoString(&text[0]))
}
