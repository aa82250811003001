package chaos

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// App is a registered client of the issuer.
type App struct {
	ID, Secret string
	Resource   string
}

const redirectURI = "https://app.example.com/cb"

// Target is where clients send requests: a replica's address, and whether a balancer would send
// requests there now.
type Target struct {
	Address string
	Ready   func() bool
}

// errStopped ends a client: the run is over.
var errStopped = errors.New("the run is over")

// errBroken ends a client's session after an answer that breaks an invariant. The checker judges it.
var errBroken = errors.New("an answer that ends the client's session")

// client is one of the many. It does one act at a time.
type client struct {
	*Load
	number  int
	acts    int64
	random  *rand.Rand
	cookies map[string]string
	session *http.Client
}

// request is what one act sends.
type request struct {
	method, path string
	form         url.Values
	json         any
	bearer       string
	basic        *App
	browser      bool // with cookies
}

type answer struct {
	status   int
	location string
	body     []byte
	err      error
	retry    bool
}

// fields is a JSON answer.
func (a answer) fields() (f struct {
	Access  string `json:"access_token"`
	ID      string `json:"id_token"`
	Refresh string `json:"refresh_token"`
	Error   string `json:"error"`
	Code    string `json:"code"`
	Active  bool   `json:"active"`
	Sub     string `json:"sub"`
}) {
	_ = json.Unmarshal(a.body, &f)
	return f
}

// send sends a request to a replica once.
func (c *client) send(ctx context.Context, replica int, q request) (a answer) {
	var body io.Reader
	contentType := ""
	switch {
	case q.json != nil:
		text, err := json.Marshal(q.json)
		if err != nil {
			return answer{err: err}
		}
		body, contentType = strings.NewReader(string(text)), "application/json"
	case q.form != nil:
		body, contentType = strings.NewReader(q.form.Encode()), "application/x-www-form-urlencoded"
	}
	r, err := http.NewRequestWithContext(ctx, q.method, "http://"+c.Targets[replica].Address+q.path, body)
	if err != nil {
		return answer{err: err}
	}
	r.GetBody = nil // a request that may have arrived is sent again by us, with a line in the journal
	r.Host = c.Host
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if q.bearer != "" {
		r.Header.Set("Authorization", "Bearer "+q.bearer)
	}
	if q.basic != nil {
		r.SetBasicAuth(url.QueryEscape(q.basic.ID), url.QueryEscape(q.basic.Secret))
	}
	if q.browser {
		var cookies []string
		for name, value := range c.cookies {
			cookies = append(cookies, name+"="+value)
		}
		r.Header["Cookie"] = []string{strings.Join(cookies, "; ")}
		r.Header.Set("User-Agent", "signet-chaos")
		if q.method == http.MethodPost {
			r.Header.Set("Origin", "http://"+c.Host)
			r.Header.Set("Sec-Fetch-Site", "same-origin")
		}
	}
	resp, err := c.session.Do(r)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	a.body, a.err = io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	a.status, a.location, a.retry = resp.StatusCode, resp.Header.Get("Location"), resp.Header.Get("Retry-After") != ""
	if a.err == nil && q.browser {
		for _, cookie := range resp.Cookies() {
			if c.cookies[cookie.Name] = cookie.Value; cookie.MaxAge < 0 {
				delete(c.cookies, cookie.Name)
			}
		}
	}
	return a
}

// act does one act: it sends the request, and again on another replica when the connection is lost
// or the answer is 503 or 429, until an answer decides. It returns whether an earlier try may have
// been done. note adds to the record what an answer says.
func (c *client) act(ctx context.Context, r Record, q request, note func(answer, *Record)) (answer, bool, error) {
	c.acts++
	r.Client, r.Number = c.number, c.acts
	ambiguous := false
	replica := c.pick(-1)
	for r.Try = 0; ; r.Try++ {
		for c.OnlyReady && !c.Targets[replica].Ready() && ctx.Err() == nil {
			c.rest(ctx, 10*time.Millisecond)
			replica = c.pick(-1)
		}
		if ctx.Err() != nil {
			return answer{}, ambiguous, errStopped
		}
		r.Kind, r.Replica, r.At = Ask, replica, time.Now().UnixMicro()
		if err := c.Journal.Write(r); err != nil {
			return answer{}, ambiguous, err
		}
		begin := time.Now()
		a := c.send(context.WithoutCancel(ctx), replica, q) // what was begun is finished
		done := r
		done.At = time.Now().UnixMicro()
		if a.err != nil {
			done.Kind, done.Code = Lost, lossOf(a.err)
			ambiguous = true
			c.Live.Lost.Add(1)
		} else {
			done.Kind, done.Status, done.Retry = Got, a.status, a.retry
			f := a.fields()
			if done.Code = f.Error; f.Code != "" {
				done.Code = f.Code
			}
			if a.status/100 == 2 || a.status/100 == 3 {
				if note != nil {
					note(a, &done)
				}
				c.Live.succeeded(time.Since(begin))
			}
		}
		if err := c.Journal.Write(done); err != nil {
			return answer{}, ambiguous, err
		}
		if a.err == nil && a.status != http.StatusServiceUnavailable && a.status != http.StatusTooManyRequests {
			c.Live.count(r.Act, a.status)
			return a, ambiguous, nil
		}
		if a.err == nil {
			c.Live.Unavailable.Add(1)
			ambiguous = ambiguous || a.status == http.StatusServiceUnavailable
		}
		replica = c.pick(replica)
		if r.Try > 0 { // the first time, another replica is asked at once
			c.rest(ctx, time.Duration(100+c.random.IntN(600))*time.Millisecond)
		}
	}
}

func lossOf(err error) string {
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout() || os.IsTimeout(err):
		return "timeout"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "end"
	}
	return "reset"
}

func (c *client) rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// pick returns a replica to send to, another than not, if possible one that is ready.
func (c *client) pick(not int) int {
	n := len(c.Targets)
	start := c.random.IntN(n)
	best := -1
	for i := range n {
		k := (start + i) % n
		if k == not {
			continue
		}
		if c.Targets[k].Ready() {
			return k
		}
		if best < 0 {
			best = k
		}
	}
	return max(best, 0)
}

func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// refreshClaims are those of a refresh token that tell what it is. The same token may be signed with
// another key each time that it is answered; its jti stays.
type refreshClaims struct {
	Grant string `json:"grant"`
	Gen   int64  `json:"gen"`
	ID    string `json:"jti"`
}

// readRefresh returns the grant and the generation that a refresh token names, and a digest of it.
func readRefresh(token string) (grant string, gen int64, sum string) {
	var claims refreshClaims
	readClaims(token, &claims)
	id, err := base64.RawURLEncoding.DecodeString(claims.Grant)
	if err != nil {
		return "", 0, ""
	}
	return hex.EncodeToString(id), claims.Gen, digest(claims.ID)
}

// readClaims reads the payload of a JWT, which somebody else verifies.
func readClaims(token string, claims any) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return
	}
	if text, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil {
		_ = json.Unmarshal(text, claims)
	}
}

// noteTokens records the refresh token of an answer.
func noteTokens(a answer, r *Record) {
	if refresh := a.fields().Refresh; refresh != "" {
		r.Grant, r.OutGen, r.Out = readRefresh(refresh)
	}
}

// passwordOf derives a user's password, so that the journal's version tells it.
func passwordOf(email string, version int) string {
	return fmt.Sprintf("the %dth passphrase of %s", version, email)
}

// kidOf returns the key that signed a token.
func kidOf(token string) string {
	var header struct {
		Key string `json:"kid"`
	}
	readClaims("."+strings.SplitN(token, ".", 2)[0]+".", &header)
	return header.Key
}
