package grpcauth

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
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
		withToken, err := a.authenticate(ctx, info.FullMethod, answer{
			header:  func(md metadata.MD) { _ = grpc.SetHeader(ctx, md) }, // the caller may be gone
			trailer: func(md metadata.MD) { _ = grpc.SetTrailer(ctx, md) },
		})
		if err != nil {
			return nil, err
		}
		return next(withToken, request)
	}
}

// Stream returns the interceptor of streams.
func (a *Auth) Stream() grpc.StreamServerInterceptor {
	return func(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		ctx, err := a.authenticate(stream.Context(), info.FullMethod, answer{
			header:  func(md metadata.MD) { _ = stream.SetHeader(md) }, // the caller may be gone
			trailer: stream.SetTrailer,
		})
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

// answer is what a call is told beside its answer.
type answer struct{ header, trailer func(metadata.MD) }

// The metadata of answers, as the headers of the same names over HTTP.
const (
	challengeName = "www-authenticate"
	nonceName     = "dpop-nonce"
)

// authenticate returns a context with the token of a call that may go on.
func (a *Auth) authenticate(ctx context.Context, method string, to answer) (context.Context, error) {
	rule := a.rule(method)
	if rule.public {
		return ctx, nil
	}
	token, err := a.v.AuthenticatePresented(ctx, verifier.Presented{
		Authorization: metadata.ValueFromIncomingContext(ctx, "authorization"),
		DPoP:          metadata.ValueFromIncomingContext(ctx, "dpop"),
		Method:        http.MethodPost, // every call is a POST to the name of its method
		Path:          method,
	})
	if err == nil {
		if nonce := a.v.NextNonce(token); nonce != "" {
			to.header(metadata.Pairs(nonceName, nonce))
		}
		err = a.v.Check(token, rule.need)
	}
	if err != nil {
		return nil, a.refuse(err, rule, to)
	}
	return a.v.NewContext(ctx, token), nil
}

// refuse tells the caller what it needs, and returns the status.
func (a *Auth) refuse(err error, rule rule, to answer) error {
	trailer := metadata.MD{}
	if challenges := a.v.Challenges(err, rule.need); len(challenges) > 0 {
		trailer[challengeName] = challenges
	}
	var e *verifier.Error
	if errors.As(err, &e) && e.Nonce != "" {
		trailer[nonceName] = []string{e.Nonce}
	}
	if len(trailer) > 0 {
		to.trailer(trailer)
	}
	return refusal(err)
}

// codeOf are the status codes of the HTTP statuses with which the verifier answers.
var codeOf = map[int]codes.Code{
	http.StatusBadRequest:         codes.InvalidArgument,
	http.StatusUnauthorized:       codes.Unauthenticated,
	http.StatusForbidden:          codes.PermissionDenied,
	http.StatusServiceUnavailable: codes.Unavailable,
}

// refusal returns the status with its details.
func refusal(err error) error {
	var e *verifier.Error
	if !errors.As(err, &e) {
		e = &verifier.Error{Code: verifier.CodeTokenInvalid}
	}
	httpStatus, text := verifier.Status(err)
	code, ok := codeOf[httpStatus]
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
	refused := status.New(code, text)
	if detailed, err := refused.WithDetails(details...); err == nil {
		refused = detailed
	}
	return refused.Err()
}
