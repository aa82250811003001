module github.com/signet-id/signet/docs/examples/device-login

go 1.26.0

require (
	golang.org/x/oauth2 v0.37.0
	rsc.io/qr v0.2.0
)
