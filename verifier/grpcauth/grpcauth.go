package grpcauth

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/signet-id/signet/verifier"
)

// Domain is the domain of the ErrorInfo of each refusal.
const Domain = "signet"

// Config says what each method needs. A method is named as in gRPC, "/package.Service/Method"; the
// name "/package.Service/*" stands for all methods of a service that are not named themselves.
type Config struct {
	// Methods need a token that satisfies the requirement. A method that is named nowhere needs
	// Default.
	Methods map[string]verifier.Requirement
	// Default is the requirement of all other methods. Its zero value needs a valid token.
	Default verifier.Requirement
	// Public are called without a token; if there is one, it is not looked at.
	Public []string
}

// Auth makes the interceptors of a server.
type Auth struct {
	v      *verifier.Verifier
	rules  map[string]rule // by method or "/package.Service/*"
	others rule
}

// rule is what a method needs; public: not even a token.
type rule struct {
	need   verifier.Requirement
	public bool
}

// New checks the configuration. Covers checks it against a server.
func New(v *verifier.Verifier, c Config) (*Auth, error) {
	if v == nil {
		return nil, errors.New("grpcauth: there is no verifier")
	}
	var faults []error
	a := &Auth{v: v, rules: map[string]rule{}, others: rule{need: c.Default}}
	if err := c.Default.Validate(); err != nil {
		faults = append(faults, fmt.Errorf("Default: %w", err))
	}
	for name, need := range c.Methods {
		if err := errors.Join(checkName(name), need.Validate()); err != nil {
			faults = append(faults, fmt.Errorf("Methods[%q]: %w", name, err))
		}
		a.rules[name] = rule{need: need}
	}
	for _, name := range c.Public {
		if err := checkName(name); err != nil {
			faults = append(faults, fmt.Errorf("Public: %q: %w", name, err))
		}
		if _, twice := c.Methods[name]; twice {
			faults = append(faults, fmt.Errorf("Public: %q is in Methods as well", name))
		}
		a.rules[name] = rule{public: true}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("grpcauth: %w", err)
	}
	return a, nil
}

func checkName(name string) error {
	service, method, ok := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	if !strings.HasPrefix(name, "/") || !ok || service == "" || method == "" || strings.Contains(method, "/") ||
		method != "*" && strings.Contains(name, "*") || strings.Contains(service, "*") {
		return errors.New(`not the name of a method, as "/package.Service/Method" or "/package.Service/*"`)
	}
	return nil
}

// Covers returns an error if a name of the Config is none of the server's, such as one that is
// misspelt: its method would be served with the requirement of others. Call it when all services are
// registered. server is a *grpc.Server.
func (a *Auth) Covers(server interface {
	GetServiceInfo() map[string]grpc.ServiceInfo
}) error {
	served := map[string]bool{}
	for service, info := range server.GetServiceInfo() {
		served["/"+service+"/*"] = true
		for _, method := range info.Methods {
			served["/"+service+"/"+method.Name] = true
		}
	}
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(a.rules)) {
		if !served[name] {
			faults = append(faults, fmt.Errorf("grpcauth: the server has no method %q", name))
		}
	}
	return errors.Join(faults...)
}

// rule returns what a method needs.
func (a *Auth) rule(method string) rule {
	if r, ok := a.rules[method]; ok {
		return r
	}
	if r, ok := a.rules[method[:strings.LastIndexByte(method, '/')+1]+"*"]; ok {
		return r
	}
	return a.others
}

// Unary returns the interceptor of calls with one message to and fro.
func (a *Auth) Unary() grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		setTrailer := func(md metadata.MD) { _ = grpc.SetTrailer(ctx, md) } // the caller may be gone
		withToken, err := a.authenticate(ctx, info.FullMethod, setTrailer)
		if err != nil {
			return nil, err
		}
		return next(withToken, request)
	}
}

// Stream returns the interceptor of streams.
func (a *Auth) Stream() grpc.StreamServerInterceptor {
	return func(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		ctx, err := a.authenticate(stream.Context(), info.FullMethod, stream.SetTrailer)
		if err != nil {
			return err
		}
		return next(server, &authenticated{stream, ctx})
	}
}

// authenticated is a stream whose context has the token.
type authenticated struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *authenticated) Context() context.Context { return s.ctx }

// authenticate returns a context with the token of a call that may go on.
func (a *Auth) authenticate(ctx context.Context, method string, setTrailer func(metadata.MD)) (context.Context, error) {
	rule := a.rule(method)
	if rule.public {
		return ctx, nil
	}
	token, err := a.token(ctx)
	if err == nil {
		err = a.v.Check(token, rule.need)
	}
	if err != nil {
		if challenge := a.v.Challenge(err, rule.need); challenge != "" {
			setTrailer(metadata.Pairs("www-authenticate", challenge))
		}
		return nil, refusal(err)
	}
	return a.v.NewContext(ctx, token), nil
}

// token verifies the token of a call.
func (a *Auth) token(ctx context.Context) (*verifier.Token, error) {
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	switch len(values) {
	case 0:
		return nil, &verifier.Error{Code: verifier.CodeMissingToken, Reason: "the call has no authorization metadata"}
	case 1:
	default:
		return nil, &verifier.Error{Code: verifier.CodeInvalidRequest, Reason: "the call has more than one authorization"}
	}
	scheme, raw, _ := strings.Cut(values[0], " ")
	raw = strings.TrimLeft(raw, " ") // one space or several (RFC 6750 section 2.1)
	if !strings.EqualFold(scheme, "Bearer") || raw == "" {
		return nil, &verifier.Error{Code: verifier.CodeMissingToken, Reason: "the metadata hold no bearer token"}
	}
	return a.v.Verify(ctx, raw)
}

// codeOf are the status codes of the verifier's codes. Whatever else comes is Unauthenticated.
var codeOf = map[string]codes.Code{
	verifier.CodeInvalidRequest:    codes.InvalidArgument,
	verifier.CodeInsufficientScope: codes.PermissionDenied,
	verifier.CodeInsufficientRole:  codes.PermissionDenied,
	verifier.CodeKeysUnavailable:   codes.Unavailable,
}

// refusal returns the status with its details.
func refusal(err error) error {
	var e *verifier.Error
	if !errors.As(err, &e) {
		e = &verifier.Error{Code: verifier.CodeTokenInvalid}
	}
	code, ok := codeOf[e.Code]
	if !ok {
		code = codes.Unauthenticated
	}
	info := &errdetails.ErrorInfo{Reason: e.Code, Domain: Domain, Metadata: map[string]string{}}
	if len(e.Scopes) > 0 {
		info.Metadata["scope"] = strings.Join(e.Scopes, " ")
	}
	if len(e.ACRValues) > 0 {
		info.Metadata["acr_values"] = strings.Join(e.ACRValues, " ")
	}
	if e.MaxAge > 0 {
		info.Metadata["max_age"] = strconv.FormatInt(int64(e.MaxAge/time.Second), 10)
	}
	details := []protoadapt.MessageV1{protoadapt.MessageV1Of(info)}
	if e.RetryAfter > 0 {
		retry := &errdetails.RetryInfo{RetryDelay: durationpb.New(e.RetryAfter)}
		details = append(details, protoadapt.MessageV1Of(retry))
	}
	_, text := verifier.Status(err)
	refused := status.New(code, text)
	if detailed, err := refused.WithDetails(details...); err == nil {
		refused = detailed
	}
	return refused.Err()
}
