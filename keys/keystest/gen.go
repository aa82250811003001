//go:build ignore

// Command gen writes rsa2048.txt: run `go generate` to make other test keys.
package main

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"log"
	"os"
)

const count = 160

func main() {
	var out bytes.Buffer
	fmt.Fprintln(&out, "# Primes p and q of RSA-2048 keys for tests, one key a line. They are public: never use them.")
	for range count {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			log.Fatal(err)
		}
		var raw [256]byte
		key.Primes[0].FillBytes(raw[:128])
		key.Primes[1].FillBytes(raw[128:])
		fmt.Fprintln(&out, base64.RawStdEncoding.EncodeToString(raw[:]))
	}
	if err := os.WriteFile("rsa2048.txt", out.Bytes(), 0o644); err != nil {
		log.Fatal(err)
	}
}
