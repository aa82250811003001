package backchannel

import (
	"fmt"
	"net/http"
)

// faultOf judges the status of an app's answer (Back-Channel Logout section 2.8). nil: the app was
// told. The specification wants 200, and lets frameworks answer 204; another 2xx says as much.
//
// The specification knows 400 for a token that the app refuses and for a logout that failed, so a
// refusal is tried a few times and then given up. A redirect is not followed: it may be
// mended, so it is tried like a server that is down.
func faultOf(status int) *fault {
	f := &fault{reason: fmt.Sprintf("the answer is %d", status)}
	if text := http.StatusText(status); text != "" {
		f.reason += " " + text
	}
	switch {
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests:
		f.server = true
	case status >= 400 && status < 500:
		f.refused = true
	case status >= 300 && status < 400:
		f.server = true
		f.reason += "; redirects are not followed"
	default:
		f.server = true
	}
	return f
}
