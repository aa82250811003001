package span_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/signet-id/signet/internal/span"
)

type noted struct{ list *[]string }

func (n noted) Begin(ctx context.Context, name string) (context.Context, span.Open) {
	*n.list = append(*n.list, "begin "+name)
	return ctx, n
}
func (n noted) Text(key, value string)   { *n.list = append(*n.list, key+"="+value) }
func (n noted) Number(key string, _ int) { *n.list = append(*n.list, key) }
func (n noted) End(failed bool) {
	if failed {
		*n.list = append(*n.list, "failed")
	} else {
		*n.list = append(*n.list, "end")
	}
}

func TestSpansOfARecordedRequest(t *testing.T) {
	var list []string
	ctx := span.With(t.Context(), noted{&list})
	for _, err := range []error{nil, errors.New("the password is swordfish")} {
		_, s := span.Begin(ctx, "act")
		s.Text("k", "v")
		s.Number("n", 1)
		s.End(err)
	}
	if want := []string{"begin act", "k=v", "n", "end", "begin act", "k=v", "n", "failed"}; !slices.Equal(list, want) {
		t.Errorf("%v, want %v", list, want)
	}
}

// A request that is not recorded pays nothing.
func TestAnUnrecordedSpanTakesNoMemory(t *testing.T) {
	ctx := context.WithValue(t.Context(), otherKey{}, "something else")
	n := testing.AllocsPerRun(100, func() {
		same, s := span.Begin(ctx, "act")
		s.Text("k", "v")
		s.Number("n", 1)
		s.End(nil)
		if same != ctx || s.Recorded() {
			t.Error("it is recorded")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

type otherKey struct{}
