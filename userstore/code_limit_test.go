package userstore_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// proveIn proves by a code in a session at replica i.
func (p *person) proveIn(i int, session, code string) error {
	ctx := audit.WithOrigin(p.Context(), audit.Origin{Address: "192.0.2.7"})
	_, err := p.replicas[i].ProveFactor(ctx, p.User, userstore.FactorProof{Code: code, Session: session})
	return err
}

// guessIn tries n wrong codes in a session, and waits for each as long as the account's budget demands.
func (p *person) guessIn(n int, session string) {
	p.Helper()
	for k := range n {
		p.wait(time.Hour + time.Minute)
		if err := p.proveIn(k%len(p.replicas), session, p.wrongCode()); !errors.Is(err, userstore.ErrFactorRefused) {
			p.Fatalf("wrong code %d in %s: %v", k+1, session, err)
		}
	}
}

// P-06: ten wrong codes in a session end its proofs by codes, at every replica. The hundred of the account
// stay with the owner, who proves elsewhere, logs in, or uses what cannot be guessed.
func TestP06AStolenSessionDoesNotUseUpTheWrongCodes(t *testing.T) {
	eachSecond(t, 2, func(t *testing.T, w *throttled) {
		p := w.person().withApp().withPasskey()
		p.guessIn(10, "stolen")
		w.want("wrong codes", p.factors().WrongCodes, 10)
		for n := range 30 {
			w.wait(time.Hour + time.Minute)
			for _, code := range []string{p.wrongCode(), p.code(0)} {
				if err := p.proveIn(n%2, "stolen", code); !errors.Is(err, userstore.ErrCodesBlocked) {
					t.Fatalf("after ten wrong codes: %v", err)
				}
			}
		}
		w.want("wrong codes after thirty more", p.factors().WrongCodes, 10)

		// In the same session a recovery code and a passkey are as good as ever.
		prove := func(proof userstore.FactorProof) error {
			proof.Session = "stolen"
			_, err := w.replicas[1].ProveFactor(t.Context(), p.User, proof)
			return err
		}
		w.must(prove(userstore.FactorProof{RecoveryCode: p.recovery[0]}))
		w.must(prove(p.answer("one")))

		// Elsewhere the owner's codes count, and give the account's wrong codes back.
		w.must(p.proveIn(0, "another", p.code(0)))
		w.want("wrong codes after a right one", p.factors().WrongCodes, 0)
		w.wait(time.Minute)
		w.must(p.second(1, p.waiting(), p.byCode(p.code(0))))
		w.wait(time.Minute)
		if err := p.proveIn(0, "stolen", p.code(0)); !errors.Is(err, userstore.ErrCodesBlocked) {
			t.Errorf("after the owner's login: %v", err)
		}
		// Another account has nothing to do with it, whatever its session is called.
		q := w.person().withApp()
		w.must(q.proveIn(0, "stolen", q.code(0)))

		w.wait(30 * 24 * time.Hour)
		w.must(p.proveIn(0, "stolen", p.code(0)))
	})
}

// Right codes are no guesses, and a code that is used before is one.
func TestRightCodesOfASessionAreGivenBack(t *testing.T) {
	eachSecond(t, 1, func(t *testing.T, w *throttled) {
		p := w.person().withApp()
		for range 25 {
			w.wait(30 * time.Second)
			w.must(p.proveIn(0, "mine", p.code(0)))
		}
		p.guessIn(8, "mine")
		w.wait(time.Hour + time.Minute)
		used := p.code(0)
		w.must(p.proveIn(0, "mine", used))
		if err := p.proveIn(0, "mine", used); !errors.Is(err, userstore.ErrFactorRefused) {
			t.Errorf("a code once more: %v", err)
		}
		w.wait(time.Hour + time.Minute)
		w.must(p.proveIn(0, "mine", p.code(0))) // nine were wrong
		p.guessIn(1, "mine")
		w.wait(time.Hour + time.Minute)
		if err := p.proveIn(0, "mine", p.code(0)); !errors.Is(err, userstore.ErrCodesBlocked) {
			t.Errorf("after ten wrong codes: %v", err)
		}
	})
}

// P-07: codes of a session that come at once, at two replicas, are counted before they are compared.
func TestP07WrongCodesOfASessionAtOnce(t *testing.T) {
	eachSecond(t, 2, func(t *testing.T, w *throttled) {
		p := w.person().withApp()
		p.guessIn(7, "stolen")
		w.wait(25 * time.Hour) // the account's own budget is as new
		before := p.factors().WrongCodes
		var mu sync.Mutex
		answers := map[error]int{}
		var all sync.WaitGroup
		wrong := p.wrongCode()
		for n := range 9 {
			all.Go(func() {
				err := p.proveIn(n%2, "stolen", wrong)
				mu.Lock()
				defer mu.Unlock()
				for _, known := range []error{userstore.ErrFactorRefused, userstore.ErrCodesBlocked} {
					if errors.Is(err, known) {
						answers[known]++
						return
					}
				}
				answers[err]++
			})
		}
		all.Wait()
		if answers[userstore.ErrFactorRefused] != 3 || answers[userstore.ErrCodesBlocked] != 6 {
			t.Errorf("%v", answers)
		}
		w.want("wrong codes", p.factors().WrongCodes, before+3)
	})
}

// A code that is asked for without a password, and of no session, is a mistake of the program: it is
// neither counted nor compared.
func TestACodeOfNoSession(t *testing.T) {
	eachSecond(t, 1, func(t *testing.T, w *throttled) {
		p := w.person().withApp()
		err := p.proveIn(0, "", p.code(0))
		if err == nil || errors.Is(err, userstore.ErrFactorRefused) || errors.Is(err, userstore.ErrUnavailable) {
			t.Errorf("%v", err)
		}
		if _, err := w.replicas[0].AuthenticateAgain(context.Background(), p.ID, p.byCode(p.code(0))); err == nil {
			t.Error("a session is stepped up in the name of none")
		}
		w.want("wrong codes", p.factors().WrongCodes, 0)
		w.want("guesses that are free", p.free(), 10)
	})
}
