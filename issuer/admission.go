package issuer

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/signet-id/signet/internal/jose"
)

// Admission keeps latency bounded when requests need more signatures than the processor can make.
// An RSA signature takes most of a millisecond of a processor; with hundreds under way at once,
// each would take as long as all of them. So only as many signatures are computed at once as there
// are slots, in the order of arrival; and only as many requests are admitted as can be signed in
// time. Other requests wait, before anything is written, and are refused with Overloaded when they
// have waited too long.
//
// Without an Admission nothing is signed; NoAdmission admits every request.
type Admission struct {
	slots  chan struct{}
	places chan struct{}
	wait   time.Duration

	none    bool // of NoAdmission
	waiting atomic.Int64
	refused atomic.Uint64
}

// NoAdmission admits every request and signs at once. It is for tests of other things.
var NoAdmission = &Admission{none: true}

// limits reports whether there is a limit. It returns an error if the Admission was forgotten.
func (a *Admission) limits() (bool, error) {
	if a == nil {
		return false, errors.New("issuer: the Admission is missing; without one nothing is signed")
	}
	return !a.none, nil
}

// Defaults of NewAdmission, for zero arguments.
const (
	placesPerSlot   = 64 // some 50 ms of RSA signatures, so that an admitted request is soon done
	waitersPerPlace = 8
	admissionWait   = 2 * time.Second
)

// NewAdmission makes an Admission with that many slots (0: GOMAXPROCS). A request waits for at most
// wait (0: 2 s) to be admitted.
func NewAdmission(slots int, wait time.Duration) *Admission {
	if slots <= 0 {
		slots = runtime.GOMAXPROCS(0)
	}
	if wait <= 0 {
		wait = admissionWait
	}
	return &Admission{slots: make(chan struct{}, slots), places: make(chan struct{}, slots*placesPerSlot), wait: wait}
}

// AdmissionStats counts the present requests of an Admission, and its refusals since it was made.
type AdmissionStats struct {
	Signing, Inside, Waiting int
	Refused                  uint64
}

// Stats returns the numbers for metrics.
func (a *Admission) Stats() AdmissionStats {
	if a == nil {
		return AdmissionStats{}
	}
	return AdmissionStats{len(a.slots), len(a.places), int(a.waiting.Load()), a.refused.Load()}
}

var errOverloaded = refuse(Overloaded, "Too many requests at once: try again in a moment.")

// enter admits a request; the caller must call leave when the request is over.
func (a *Admission) enter(ctx context.Context) (leave func(), err error) {
	if limits, err := a.limits(); !limits {
		return func() {}, err
	}
	select {
	case a.places <- struct{}{}:
		return a.leave, nil
	default:
	}
	if a.waiting.Add(1) > int64(cap(a.places)*waitersPerPlace) {
		a.waiting.Add(-1)
		a.refused.Add(1)
		return nil, errOverloaded.because(errors.New("too many wait for a signature"))
	}
	defer a.waiting.Add(-1)
	timer := time.NewTimer(a.wait)
	defer timer.Stop()
	select {
	case a.places <- struct{}{}:
		return a.leave, nil
	case <-timer.C:
	case <-ctx.Done():
	}
	a.refused.Add(1)
	return nil, errOverloaded.because(errors.New("waited too long for a signature"))
}

func (a *Admission) leave() { <-a.places }

// sign has s sign a token in a slot.
func (a *Admission) sign(s *jose.Signer, typ string, payload []byte) (string, error) {
	return a.inSlot(s, func() (string, error) { return s.Sign(typ, payload) })
}

// signAnswer has s sign an answer in a slot.
func (a *Admission) signAnswer(s *jose.Signer, typ string, payload []byte) (string, error) {
	return a.inSlot(s, func() (string, error) { return s.SignAnswer(typ, payload) })
}

// inSlot calls sign in a slot, if the algorithm of s takes long. The wait cannot be cancelled,
// because what is signed may be committed already; the bound on admitted requests keeps the wait
// short.
func (a *Admission) inSlot(s *jose.Signer, sign func() (string, error)) (string, error) {
	limits, err := a.limits()
	if err != nil {
		return "", err
	}
	if alg := s.Algorithm(); !limits || alg != jose.RS256 && alg != jose.PS256 {
		return sign()
	}
	a.slots <- struct{}{}
	defer func() { <-a.slots }()
	return sign()
}

// Sign has s sign in a slot; see signAnswer.
func (a *Admission) Sign(s *jose.Signer, typ string, payload []byte) (string, error) {
	return a.sign(s, typ, payload)
}
