package issuer

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/signet-id/signet/internal/jose"
)

// Admission keeps latency bounded when more is asked for than can be signed. An RSA signature takes most of
// a millisecond of a processor; with hundreds of them under way at once, each would take as long as all. So only as many are
// computed at a time as there are slots, first come, first served; and only so many requests are let in
// that each of them is signed for in time. The rest waits at the door, before anything is written, and
// is sent away with Overloaded when it has waited long enough.
//
// Without an Admission nothing is signed; NoAdmission lets every request in.
type Admission struct {
	slots  chan struct{}
	places chan struct{}
	wait   time.Duration

	none    bool // of NoAdmission
	waiting atomic.Int64
	refused atomic.Uint64
}

// NoAdmission lets every request in and signs at once. It is for tests of other things.
var NoAdmission = &Admission{none: true}

// limits tells whether there is a limit. An error says that the Admission was forgotten.
func (a *Admission) limits() (bool, error) {
	if a == nil {
		return false, errors.New("issuer: the Admission is missing; without one nothing is signed")
	}
	return !a.none, nil
}

// Defaults of NewAdmission, for zero arguments.
const (
	placesPerSlot   = 64 // some 50 ms of RSA signatures, so that whoever is let in is soon done
	waitersPerPlace = 8
	admissionWait   = 2 * time.Second
)

// NewAdmission makes one with that many slots (0: GOMAXPROCS), at whose door a request waits for at most
// wait (0: 2 s).
func NewAdmission(slots int, wait time.Duration) *Admission {
	if slots <= 0 {
		slots = runtime.GOMAXPROCS(0)
	}
	if wait <= 0 {
		wait = admissionWait
	}
	return &Admission{slots: make(chan struct{}, slots), places: make(chan struct{}, slots*placesPerSlot), wait: wait}
}

// AdmissionStats is what an Admission is doing, and has done since it was made.
type AdmissionStats struct {
	Signing, Inside, Waiting int
	Refused                  uint64
}

// Stats is for metrics.
func (a *Admission) Stats() AdmissionStats {
	if a == nil {
		return AdmissionStats{}
	}
	return AdmissionStats{len(a.slots), len(a.places), int(a.waiting.Load()), a.refused.Load()}
}

var errOverloaded = refuse(Overloaded, "Too many requests at once: try again in a moment.")

// enter lets a request in; leave has to be called when it is over.
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

// sign has s sign in a slot, if its algorithm is one that takes long. There is no way out of the wait, for
// what is signed may be committed already; the door keeps it short.
func (a *Admission) sign(s *jose.Signer, typ string, payload []byte) (string, error) {
	limits, err := a.limits()
	if err != nil {
		return "", err
	}
	if alg := s.Algorithm(); !limits || alg != jose.RS256 && alg != jose.PS256 {
		return s.Sign(typ, payload)
	}
	a.slots <- struct{}{}
	defer func() { <-a.slots }()
	return s.Sign(typ, payload)
}
