package issuer

import (
	"context"
)

// maxLogoutFrames bounds the frames of one logout: a person waits for them.
const maxLogoutFrames = 20

// LogoutFrames returns the addresses that a browser has to load in hidden frames when its session
// ends (OpenID Connect Front-Channel Logout 1.0 section 3): one for each client that the user logged
// in to from this session and that wants to be told, the latest logins first. Call it before the
// session ends.
//
// A disabled client is left out, because its pages may be the reason why it was disabled.
func (i *Issuer) LogoutFrames(ctx context.Context, b Browser) ([]string, error) {
	sessions, err := i.Browsers.ListAppSessions(ctx, b.Session.ID)
	if err != nil {
		return nil, failed(err)
	}
	var frames []string
	told := map[string]bool{}
	for _, s := range sessions {
		if told[s.ClientID] {
			continue
		}
		told[s.ClientID] = true
		client, err := i.enabledClient(ctx, s.ClientID)
		switch {
		case err != nil && failed(err).Code == InvalidClient: // it is gone, or disabled
			continue
		case err != nil:
			return nil, err
		case client.FrontchannelLogoutURI == "":
			continue
		}
		uri := client.FrontchannelLogoutURI
		if client.FrontchannelLogoutSessionRequired {
			uri = withQuery(uri, [][2]string{{"iss", i.URL}, {"sid", s.SessionID}})
		}
		if frames = append(frames, uri); len(frames) == maxLogoutFrames {
			break
		}
	}
	return frames, nil
}
