package sqlstore

import (
	"context"
	"slices"

	"github.com/signet-id/signet/userstore"
)

// loginStart is the first statement of a login, which changes the row of the user. Its last condition
// is about second factors: they are those that the login read, and there is none unless one was
// proved. A path to an account that forgets the second step is refused here.
type loginStart struct{ alone, proved string }

func newLoginStart(sql string) loginStart {
	const version = ` AND factor_epoch = $`
	return loginStart{alone: numbered(sql + version + ` AND NOT second_factor`), proved: numbered(sql + version)}
}

func (l loginStart) bind(s userstore.SecondStep, args ...any) stmt {
	sql := l.alone
	if s.Proved {
		sql = l.proved
	}
	return bind(sql, append(args, s.FactorVersion)...)
}

// login runs the statements of a login, of which the first locks the user's row and the one at
// inserted inserts what the login makes: ErrConflict if either changes no row, or another of must
// does. A login that spends something does so in the same transaction, as then do the statements
// more.
func (db named) login(
	ctx context.Context, userID string, s userstore.SecondStep, steps []stmt, inserted int, must []int, more ...factorStep,
) error {
	if s.Use.Empty() && len(more) == 0 && len(must) == 0 {
		n, err := db.batch(ctx, false, steps...)
		if err == nil && n[inserted] == 0 {
			err = userstore.ErrConflict
		}
		return err
	}
	all := append([]factorStep{{steps[0], userstore.ErrConflict}}, spendings(userID, s.Use)...)
	for i, step := range steps[1:] {
		if i+1 == inserted || slices.Contains(must, i+1) {
			all = append(all, factorStep{step, userstore.ErrConflict})
		} else {
			all = append(all, factorStep{stmt: step})
		}
	}
	return db.runSteps(ctx, append(all, more...), nil)
}
