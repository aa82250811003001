// Package span records what a request spends its time on, where its trace is recorded: calls of the
// store, waits for a hash, signatures, outgoing requests. The packages that do these things begin a
// span and end it; they know nothing of the library that records it, which is internal/traces' affair.
//
// A request that is not recorded has no Tracer in its context, and then a span costs a look into the
// context and no memory. A span says what kind of thing was done, never to whom or with what: it has
// no arguments, no addresses with queries and no names of people.
package span

import "context"

// Tracer records the spans of one request.
type Tracer interface {
	// Begin begins a span within that of ctx, and returns the context of what belongs to it.
	Begin(ctx context.Context, name string) (context.Context, Open)
}

// Open is a span that has begun.
type Open interface {
	Text(key, value string)
	Number(key string, n int)
	End(failed bool)
}

// Span is an Open, or nothing: all methods of the zero value do nothing.
type Span struct{ open Open }

// Of returns a Span that records in open.
func Of(open Open) Span { return Span{open} }

// Recorded reports whether the span is recorded.
func (s Span) Recorded() bool { return s.open != nil }

// Text says something more about the span. Names of keys are those of OpenTelemetry.
func (s Span) Text(key, value string) {
	if s.open != nil {
		s.open.Text(key, value)
	}
}

// Number is Text for a number.
func (s Span) Number(key string, n int) {
	if s.open != nil {
		s.open.Number(key, n)
	}
}

// End ends the span of an act that ended with err, whose text is not recorded.
func (s Span) End(err error) {
	if s.open != nil {
		s.open.End(err != nil)
	}
}

type tracerKey struct{}

// With returns ctx with the tracer of its request.
func With(ctx context.Context, t Tracer) context.Context {
	return context.WithValue(ctx, tracerKey{}, t)
}

// Begin begins a span, if the request of ctx is recorded. name is a constant of the code.
func Begin(ctx context.Context, name string) (context.Context, Span) {
	t, ok := ctx.Value(tracerKey{}).(Tracer)
	if !ok {
		return ctx, Span{}
	}
	ctx, open := t.Begin(ctx, name)
	return ctx, Span{open}
}
