package protocol_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/password"
)

// T-33: a flood of wrong client secrets, from as many networks as it likes, neither takes the slots
// in which people's passwords are hashed nor stops a client whose secret was right before.
func TestT33WrongClientSecretsQueueApartFromLogins(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		hasher := s.Replicas[0].Accounts.Hasher
		f := newStandard(s)
		secret := s.Secret("an operator chose this one")
		hash, err := hasher.Hash(t.Context(), secret)
		if err != nil {
			t.Fatal(err)
		}
		s.Register(userstore.Client{ID: "chosen", GrantTypes: []string{userstore.GrantClientCredentials}, SecretHash: hash})
		right := machineRequest(nil)
		right.Basic = [2]string{"chosen", secret}
		s.Do(right).Want(200, "")
		before := hasher.Stats().Started

		var flood sync.WaitGroup
		for n := range 18 {
			q := machineRequest(nil)
			q.Basic = [2]string{[]string{"chosen", "web", "nobody"}[n%3], "wrong"}
			q.Header = http.Header{"X-Forwarded-For": {fmt.Sprintf("192.0.2.%d", n)}}
			flood.Go(func() {
				if res := s.Do(q); res.Status != 401 && res.Status != 503 {
					t.Errorf("a wrong secret: %d", res.Status)
				}
			})
		}
		for deadline := time.Now().Add(time.Minute); hasher.Secrets.Stats().Waiting < 8; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the flood does not queue: %+v", hasher.Secrets.Stats())
			}
		}
		s.Login(f.alice)
		s.Do(right).Want(200, "")
		if left := hasher.Secrets.Stats(); left.Waiting == 0 {
			t.Errorf("the login came after the flood: %+v", left)
		}
		if now := hasher.Stats().Started; now != before+1 {
			t.Errorf("%d hashes in the slots of passwords, want that of the login", now-before)
		}
		flood.Wait()
		s.Do(right).Want(200, "")
	}, func(o *apitest.Options) {
		o.Configure = func(r *apitest.Replica) {
			r.API.TrustedProxies = []string{"127.0.0.1"}
			r.Accounts.Hasher = password.New(password.Params{MemoryKiB: 16 << 10, Time: 6, Threads: 1}, 1, 64, time.Minute)
			r.Accounts.Throttle.AtOnce = 8
		}
	})
}
