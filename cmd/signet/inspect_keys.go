package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/signet-id/signet/internal/jose"
)

// maxJWKS bounds a JWK set that somebody else wrote.
const maxJWKS = 1 << 20

// foreignKeys reads a JWK set from a file or a URL.
func (a *app) foreignKeys(i *inspection, from string) error {
	var text []byte
	var err error
	if u, parseErr := url.Parse(from); parseErr == nil && (u.Scheme == "http" || u.Scheme == "https") {
		text, err = fetch(i.ctx, from)
	} else {
		text, err = a.readInput(from, maxJWKS)
	}
	if err != nil {
		return err
	}
	list, skipped, err := jose.ParseKeySet(text)
	if err != nil {
		return fmt.Errorf("%s is not a JWK set: %w", from, err)
	}
	for _, s := range skipped {
		fmt.Fprintln(a.err, "signet: a key of the set is left out: "+sentence(s))
	}
	i.keySet, i.keys = text, map[string]inspectedKey{}
	for _, k := range list {
		i.keys[k.ID] = inspectedKey{PublicKey: k, state: "in the JWK set", published: true}
	}
	return nil
}

func fetch(ctx context.Context, from string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("the JWK set at %s cannot be fetched: %s; check the URL", from, networkReason(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the JWK set at %s cannot be fetched: the answer was %d; check the URL", from, resp.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxJWKS+1))
	if err == nil && len(text) > maxJWKS {
		err = fmt.Errorf("the JWK set at %s is larger than 1 MiB", from)
	}
	return text, err
}
