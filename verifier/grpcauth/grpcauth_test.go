package grpcauth_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/signet-id/signet/verifier"
	"github.com/signet-id/signet/verifier/grpcauth"
	"github.com/signet-id/signet/verifier/issuertest"
)

const audience = "https://notes.example.com"

// notes answers each call with the subject of its token, or "nobody".
var notes = grpc.ServiceDesc{
	ServiceName: "notes.v1.Notes",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{unary("List"), unary("Delete"), unary("Purge"), unary("Ping")},
	Streams:     []grpc.StreamDesc{{StreamName: "Watch", Handler: watch, ServerStreams: true, ClientStreams: true}},
}

func subject(ctx context.Context) *wrapperspb.StringValue {
	token, ok := verifier.TokenFrom(ctx)
	if !ok {
		return wrapperspb.String("nobody")
	}
	return wrapperspb.String(token.Subject)
}

func unary(name string) grpc.MethodDesc {
	return grpc.MethodDesc{MethodName: name, Handler: func(
		server any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor,
	) (any, error) {
		request := new(wrapperspb.StringValue)
		if err := decode(request); err != nil {
			return nil, err
		}
		info := &grpc.UnaryServerInfo{Server: server, FullMethod: "/notes.v1.Notes/" + name}
		return interceptor(ctx, request, info, func(ctx context.Context, _ any) (any, error) { return subject(ctx), nil })
	}}
}

func watch(_ any, stream grpc.ServerStream) error {
	for {
		if err := stream.RecvMsg(new(wrapperspb.StringValue)); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
		if err := stream.SendMsg(subject(stream.Context())); err != nil {
			return err
		}
	}
}

// stand is a gRPC server with its issuer.
type stand struct {
	t      *testing.T
	issuer *issuertest.Issuer
	auth   *grpcauth.Auth
	server *grpc.Server
	conn   *grpc.ClientConn
}

func newStand(t *testing.T, change ...func(*verifier.Config)) *stand {
	t.Helper()
	s := &stand{t: t, issuer: issuertest.New(t)}
	config := s.issuer.Config(audience)
	config.Logger = slog.New(slog.DiscardHandler)
	for _, c := range change {
		c(&config)
	}
	v, err := verifier.New(config)
	if err != nil {
		t.Fatal(err)
	}
	s.auth, err = grpcauth.New(v, grpcauth.Config{
		Methods: map[string]verifier.Requirement{
			"/notes.v1.Notes/*":      {Scopes: []string{"notes:read"}},
			"/notes.v1.Notes/Delete": {Scopes: []string{"notes:write"}, ACRValues: []string{"2"}, MaxAge: 5 * time.Minute},
			"/notes.v1.Notes/Purge":  {Roles: []string{"admin", "owner"}},
		},
		Public: []string{"/notes.v1.Notes/Ping"},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.server = grpc.NewServer(grpc.UnaryInterceptor(s.auth.Unary()), grpc.StreamInterceptor(s.auth.Stream()))
	s.server.RegisterService(&notes, nil)
	if err := s.auth.Covers(s.server); err != nil {
		t.Fatal(err)
	}
	listener := bufconn.Listen(1 << 20)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.server.Serve(listener) }()
	t.Cleanup(func() { s.server.Stop(); <-done })
	s.conn, err = grpc.NewClient("passthrough:notes", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.conn.Close() })
	return s
}

// call calls a method with the values of its authorization, and returns what came.
func (s *stand) call(method string, authorization ...string) (answer string, trailer metadata.MD, err error) {
	s.t.Helper()
	got := s.callWith(method, metadata.MD{"authorization": authorization})
	return got.answer, got.trailer, got.err
}

// outcome is what came of a call.
type outcome struct {
	answer          string
	header, trailer metadata.MD
	err             error
}

// callWith calls a method, by a stream if it is one.
func (s *stand) callWith(method string, sent metadata.MD) (got outcome) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	ctx = metadata.NewOutgoingContext(ctx, sent)
	answer := new(wrapperspb.StringValue)
	name := "/notes.v1.Notes/" + method
	if method != "Watch" {
		got.err = s.conn.Invoke(ctx, name, wrapperspb.String("x"), answer, grpc.Header(&got.header), grpc.Trailer(&got.trailer))
		got.answer = answer.Value
		return got
	}
	stream, err := s.conn.NewStream(ctx, &notes.Streams[0], name)
	if err != nil {
		return outcome{err: err}
	}
	for range 3 {
		if err = stream.SendMsg(wrapperspb.String("x")); err != nil && err != io.EOF { // then RecvMsg says why
			break
		}
		if err = stream.RecvMsg(answer); err != nil {
			break
		}
	}
	if err == nil {
		_ = stream.CloseSend()
		_ = stream.RecvMsg(new(wrapperspb.StringValue))
	}
	got.header, _ = stream.Header()
	got.answer, got.trailer, got.err = answer.Value, stream.Trailer(), err
	return got
}

func TestMethodsAndTheirRequirements(t *testing.T) {
	s := newStand(t)
	token := func(claims map[string]any) string { return "Bearer " + s.issuer.Token(claims) }
	reader := token(map[string]any{"aud": audience, "scope": "notes:read", "sub": "alice"})
	login := func(acr string, ago time.Duration, scope string) string {
		return "Bearer " + s.issuer.LoginToken(acr, ago, map[string]any{"aud": audience, "scope": scope, "sub": "alice"})
	}
	both := "notes:read notes:write"
	for _, c := range []struct {
		name, method string
		tokens       []string
		code         codes.Code
		reason       string
		challenge    string
		metadata     string
	}{
		{"a reader lists", "List", []string{reader}, codes.OK, "", "", ""},
		{"a reader watches", "Watch", []string{reader}, codes.OK, "", "", ""},
		{"the scheme in another case", "List", []string{"bEARER  " + reader[len("Bearer "):]}, codes.OK, "", "", ""},
		{"without a token, public", "Ping", nil, codes.OK, "", "", ""},
		{"a bad token, public", "Ping", []string{"Bearer x"}, codes.OK, "", "", ""},
		{"without a token", "List", nil, codes.Unauthenticated, "missing_token", `Bearer realm="` + audience + `"`, ""},
		{"without a token, a stream", "Watch", nil,
			codes.Unauthenticated, "missing_token", `Bearer realm="` + audience + `"`, ""},
		{"another scheme", "List", []string{"Basic eDp5"}, codes.Unauthenticated, "missing_token", `Bearer realm=`, ""},
		{"no token behind the scheme", "List", []string{"Bearer "},
			codes.Unauthenticated, "missing_token", `Bearer realm=`, ""},
		{"two tokens", "List", []string{reader, reader},
			codes.InvalidArgument, "invalid_request", `Bearer error="invalid_request"`, ""},
		{"garbage", "List", []string{"Bearer x"},
			codes.Unauthenticated, "token_invalid", `Bearer error="invalid_token"`, ""},
		{"another audience", "List", []string{token(map[string]any{"aud": "x", "scope": both})},
			codes.Unauthenticated, "token_invalid", `Bearer error="invalid_token"`, ""},
		{"an ID token", "Watch", []string{"Bearer " + s.issuer.Sign("JWT", []byte(`{}`))},
			codes.Unauthenticated, "token_invalid", `Bearer error="invalid_token"`, ""},
		{"expired", "Watch", []string{token(map[string]any{"aud": audience, "iat": s.issuer.Now().Unix() - 900,
			"exp": s.issuer.Now().Unix() - 300})},
			codes.Unauthenticated, "token_expired", `Bearer error="invalid_token"`, ""},
		{"the scope of another method", "List", []string{login("2", 0, "notes:write")},
			codes.PermissionDenied, "insufficient_scope", `scope="notes:read"`, "scope=notes:read"},
		{"a stream without its scope", "Watch", []string{login("2", 0, "notes:write")},
			codes.PermissionDenied, "insufficient_scope", `scope="notes:read"`, "scope=notes:read"},
		{"a strong and fresh login", "Delete", []string{login("2", time.Minute, both)}, codes.OK, "", "", ""},
		{"a weak login", "Delete", []string{login("1", time.Minute, both)},
			codes.Unauthenticated, "insufficient_user_authentication", `acr_values="2", max_age="300"`, "acr_values=2 max_age=300"},
		{"an old login", "Delete", []string{login("2", time.Hour, both)},
			codes.Unauthenticated, "insufficient_user_authentication", `acr_values="2", max_age="300"`, "acr_values=2 max_age=300"},
		{"a strong login without the scope", "Delete", []string{login("2", 0, "notes:read")},
			codes.PermissionDenied, "insufficient_scope", `scope="notes:write"`, "scope=notes:write"},
		{"a client for itself", "Delete", []string{"Bearer " + s.issuer.ClientToken(map[string]any{"aud": audience, "scope": both})},
			codes.PermissionDenied, "insufficient_scope", `error="insufficient_scope"`, ""},
		{"one of the roles", "Purge", []string{token(map[string]any{"aud": audience, "sub": "alice", "roles": []string{"owner"}})},
			codes.OK, "", "", ""},
		{"another role", "Purge", []string{token(map[string]any{"aud": audience, "roles": []string{"Admin"}})},
			codes.PermissionDenied, "insufficient_role", `Bearer error="insufficient_scope"`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer, trailer, err := s.call(c.method, c.tokens...)
			st := status.Convert(err)
			if st.Code() != c.code {
				t.Fatalf("%v", err)
			}
			if c.code == codes.OK {
				want := "alice"
				if c.method == "Ping" {
					want = "nobody"
				}
				if answer != want || len(trailer.Get("www-authenticate")) != 0 {
					t.Errorf("answer %q, trailer %v", answer, trailer)
				}
				return
			}
			if answer != "" {
				t.Errorf("the handler was called: %q", answer)
			}
			if got := strings.Join(trailer.Get("www-authenticate"), "|"); !strings.Contains(got, c.challenge) || !strings.HasPrefix(got, "Bearer ") {
				t.Errorf("challenge %q", got)
			}
			info := infoOf(t, st)
			if info.Reason != c.reason || info.Domain != grpcauth.Domain {
				t.Errorf("%+v", info)
			}
			var metadata []string
			for _, name := range []string{"scope", "acr_values", "max_age"} {
				if value := info.Metadata[name]; value != "" {
					metadata = append(metadata, name+"="+value)
				}
			}
			if got := strings.Join(metadata, " "); got != c.metadata {
				t.Errorf("metadata %q", got)
			}
			for _, token := range c.tokens {
				if len(token) > 20 && strings.Contains(st.Message(), token[:20]) || st.Message() == "" {
					t.Errorf("message %q", st.Message())
				}
			}
		})
	}
}

func infoOf(t *testing.T, st *status.Status) *errdetails.ErrorInfo {
	t.Helper()
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info
		}
	}
	t.Fatalf("no ErrorInfo in %v", st.Details())
	return nil
}

func TestWithoutKeysNothingIsDecided(t *testing.T) {
	s := newStand(t)
	raw := "Bearer " + s.issuer.Token(map[string]any{"aud": audience, "scope": "notes:read"})
	s.issuer.Break(http.NotFoundHandler())
	for _, method := range []string{"List", "Watch"} {
		_, trailer, err := s.call(method, raw)
		st := status.Convert(err)
		if st.Code() != codes.Unavailable || infoOf(t, st).Reason != "keys_unavailable" || len(trailer.Get("www-authenticate")) != 0 {
			t.Errorf("%s: %v, trailer %v", method, err, trailer)
		}
		retryAfter(t, st)
	}
}

// retryAfter checks that a status says when to try again.
func retryAfter(t *testing.T, st *status.Status) {
	t.Helper()
	var wait time.Duration
	for _, detail := range st.Details() {
		if retry, ok := detail.(*errdetails.RetryInfo); ok {
			wait = retry.RetryDelay.AsDuration()
		}
	}
	if wait < time.Second || wait > time.Minute {
		t.Errorf("retry after %v", wait)
	}
}

// With metadata the challenge of a call without a token names them, and the scopes of the method.
func TestTheChallengeNamesTheMetadata(t *testing.T) {
	s := newStand(t, func(c *verifier.Config) { c.Resource.URI = audience })
	_, trailer, _ := s.call("Delete")
	want := `Bearer realm="` + audience + `", scope="notes:write", resource_metadata="` + audience + `/.well-known/oauth-protected-resource"` +
		`|DPoP algs="RS256 PS256 ES256 EdDSA Ed25519"`
	if got := strings.Join(trailer.Get("www-authenticate"), "|"); got != want {
		t.Errorf("challenge %s", got)
	}
}

func TestAMethodThatIsNamedNowhereNeedsAToken(t *testing.T) {
	s := newStand(t)
	v, err := verifier.New(s.issuer.Config(audience))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		config grpcauth.Config
		code   codes.Code
	}{
		{grpcauth.Config{}, codes.Unauthenticated},
		{grpcauth.Config{Public: []string{"/notes.v1.Notes/Lis"}}, codes.Unauthenticated},
		{grpcauth.Config{Public: []string{"/notes.v1/*"}}, codes.Unauthenticated},
		{grpcauth.Config{Public: []string{"/notes.v1.Notes/*"}}, codes.OK},
		{grpcauth.Config{Public: []string{"/notes.v1.Notes/*"},
			Methods: map[string]verifier.Requirement{"/notes.v1.Notes/List": {}}}, codes.Unauthenticated},
	} {
		auth, err := grpcauth.New(v, c.config)
		if err != nil {
			t.Fatal(err)
		}
		_, err = auth.Unary()(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: "/notes.v1.Notes/List"},
			func(context.Context, any) (any, error) { return nil, nil })
		if status.Code(err) != c.code {
			t.Errorf("%+v: %v", c.config, err)
		}
	}
}

func TestMistakesOfAConfiguration(t *testing.T) {
	s := newStand(t)
	v, err := verifier.New(s.issuer.Config(audience))
	if err != nil {
		t.Fatal(err)
	}
	need := func(names ...string) grpcauth.Config {
		methods := map[string]verifier.Requirement{}
		for _, name := range names {
			methods[name] = verifier.Requirement{}
		}
		return grpcauth.Config{Methods: methods}
	}
	for _, name := range []string{"", "/", "*", "List", "notes.v1.Notes/List", "/notes.v1.Notes", "/notes.v1.Notes/", "//List",
		"/notes.v1.Notes/L*", "/*/List", "/a/b/c", "/*"} {
		if _, err := grpcauth.New(v, need(name)); err == nil {
			t.Errorf("Methods %q", name)
		}
		if _, err := grpcauth.New(v, grpcauth.Config{Public: []string{name}}); err == nil {
			t.Errorf("Public %q", name)
		}
	}
	for name, c := range map[string]grpcauth.Config{
		"both":                   {Public: []string{"/a.B/C"}, Methods: map[string]verifier.Requirement{"/a.B/C": {}}},
		"a scope of two words":   {Methods: map[string]verifier.Requirement{"/a.B/C": {Scopes: []string{"a b"}}}},
		"a default of no length": {Default: verifier.Requirement{MaxAge: 1}},
	} {
		if _, err := grpcauth.New(v, c); err == nil {
			t.Error(name)
		}
	}
	if _, err := grpcauth.New(nil, grpcauth.Config{}); err == nil {
		t.Error("no verifier")
	}
	for _, name := range []string{"/notes.v1.Notes/Lists", "/notes.v1.Note/*"} {
		auth, err := grpcauth.New(v, need("/notes.v1.Notes/List", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := auth.Covers(s.server); err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), `List"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
