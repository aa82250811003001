package tokencache_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/tokencache"
)

func TestACacheIsBoundedAndKeepsWhatIsUsed(t *testing.T) {
	c := tokencache.New[int](8)
	value := 7
	busy, found := c.Find("busy")
	if found != nil {
		t.Fatal("an empty cache remembers")
	}
	c.Remember(busy, &value)
	for i := range 100 {
		name, v := c.Find(fmt.Sprint(i))
		if v != nil {
			t.Fatalf("%d is remembered before it came", i)
		}
		c.Remember(name, &i)
		if _, v := c.Find("busy"); v != &value {
			t.Fatalf("what is used all the time was forgotten after %d others", i)
		}
		if n := c.Len(); n > 8 {
			t.Fatalf("%d tokens are remembered", n)
		}
	}
	if _, v := c.Find("99"); v == nil || *v != 99 {
		t.Error("the newest is forgotten")
	}
	if _, v := c.Find("1"); v != nil {
		t.Error("the oldest is remembered")
	}
}

func TestWhatIsTooLongIsNotRemembered(t *testing.T) {
	c := tokencache.New[int](8)
	long := strings.Repeat("A", jose.MaxTokenBytes)
	name, _ := c.Find(long)
	c.Remember(name, new(int))
	if _, v := c.Find(long); v == nil {
		t.Error("a token as long as tokens may be is not remembered")
	}
	name, _ = c.Find(long + "A")
	c.Remember(name, new(int))
	if _, v := c.Find(long + "B"); v != nil || c.Len() != 1 {
		t.Error("tokens that are too long share one entry")
	}
}

// A cache of no tokens, and one that was never made, remember nothing.
func TestNoCacheRemembersNothing(t *testing.T) {
	for _, c := range []*tokencache.Cache[int]{nil, tokencache.New[int](0)} {
		name, _ := c.Find("a")
		c.Remember(name, new(int))
		if _, v := c.Find("a"); v != nil || c.Len() != 0 {
			t.Error("it remembers")
		}
	}
}
