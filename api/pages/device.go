package pages

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/internal/refusal"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// The verification page of the device flow (RFC 8628 section 3.3) takes the code that a device
// shows. What follows is what follows any authorization request: login, second factor, and the
// consent page, which says what asks, and is always shown. So an address with a code, which anybody
// can send (section 5.4), allows nothing: the code is only filled in, and the person presses two
// buttons.

// userCodeParameter is the code in verification_uri_complete and in the form.
const userCodeParameter = "user_code"

// DevicePage asks for the code of a device.
func (h *Handlers) DevicePage(w http.ResponseWriter, r *http.Request) error {
	if done, err := h.meet(w, r, devicePage, ""); done {
		return err
	}
	v, err := h.readVisit(w, r, "")
	if err != nil {
		return err
	}
	code := addressedCode(r)
	return h.showDevice(w, r, v, http.StatusOK, web.DevicePage{Code: code, Complete: code != ""})
}

// addressedCode is the code that the address of a page names, as devices show it. Anything else is
// dropped: an address must not put another person's words into our page.
func addressedCode(r *http.Request) string {
	code, ok := issuer.ReadUserCode(r.URL.Query().Get(userCodeParameter))
	if !ok {
		return ""
	}
	return issuer.SpacedUserCode(code)
}

func (h *Handlers) showDevice(w http.ResponseWriter, r *http.Request, v visit, status int, p web.DevicePage) (err error) {
	p.Common, p.SignedIn = h.common(r, nil), v.session != nil
	if p.CSRF, err = h.formToken(v.anonymousForm("device")); err != nil {
		return err
	}
	p.Address = strings.TrimRight(h.Issuer.URL, "/") + string(devicePage)
	if p.Complete {
		p.Address += "?" + url.Values{userCodeParameter: {p.Code}}.Encode()
	}
	page, err := h.Pages.Device(p)
	return h.show(w, status, page, err)
}

// DeviceForm takes the code. Whatever is wrong with a code, the answer is the same.
func (h *Handlers) DeviceForm(w http.ResponseWriter, r *http.Request) error {
	f, err := wire.ReadFields(w, r, "csrf", userCodeParameter)
	if err != nil {
		return err
	}
	v, err := h.readVisit(w, r, "")
	if err != nil {
		return err
	}
	if err := h.checkForm(v.anonymousForm("device"), f.Get("csrf")); err != nil {
		return err
	}
	typed := f.Get(userCodeParameter)
	if strings.TrimSpace(typed) == "" {
		return h.refuseCode(w, r, v, typed, "required")
	}
	pending, err := h.findDevice(r, v, typed)
	if p := problem.From(err); err != nil && p.Code == problem.UserCodeUnknown {
		refusal.Because(r.Context(), string(p.Code), p.Detail)
		return h.refuseCode(w, r, v, typed, "invalid")
	}
	if err != nil {
		status, list, err := formAgain(w, r, err, nil)
		if err != nil {
			return err
		}
		return h.showDevice(w, r, v, status, web.DevicePage{Code: typed, Problems: list})
	}
	refusal.Client(r.Context(), pending.ClientID)
	d, err := h.Issuer.Decide(r.Context(), pending, v.session)
	if err != nil {
		return err
	}
	handle, err := h.seal(authorizationHandle, v.browser, pending)
	if err != nil {
		return err
	}
	return h.takeStep(w, r, handle, d)
}

func (h *Handlers) refuseCode(w http.ResponseWriter, r *http.Request, v visit, typed, code string) error {
	return h.showDevice(w, r, v, http.StatusBadRequest, web.DevicePage{
		Code: typed, Problems: []web.Problem{{Field: userCodeParameter, Code: code}},
	})
}

// findDevice looks a code up, and counts the guess.
func (h *Handlers) findDevice(r *http.Request, v visit, typed string) (pending issuer.Pending, err error) {
	by := userstore.UserCodeGuesser{Browser: v.browser}
	if v.session != nil {
		by.UserID = v.session.User.ID
	}
	var unknown error
	err = h.Accounts.Throttle.TryUserCode(r.Context(), h.Now, by, func() (right bool, err error) {
		pending, _, err = h.Issuer.DevicePending(r.Context(), typed)
		if e, ok := errors.AsType[*issuer.Error](err); ok && e.Code == issuer.UserCodeUnknown {
			unknown = err
			return false, nil
		}
		return true, err
	})
	if err == nil {
		err = unknown
	}
	return pending, err
}

// deviceRequest is what the consent page says of the device of a request; nil: the app is in this
// browser.
func (h *Handlers) deviceRequest(r *http.Request, v visit) (*web.DeviceRequest, error) {
	if v.pending.Device == "" {
		return nil, nil
	}
	d, err := h.Issuer.DeviceOf(r.Context(), v.pending)
	return &web.DeviceRequest{
		Code: d.UserCode, Address: d.Address, UserAgent: d.UserAgent,
		Asked: d.RequestedAt, Ends: d.ExpiresAt, Now: h.Now(), Zone: zoneOf(v.session.User),
	}, err
}

// deviceDone says that a device has its answer. There is nowhere to lead the browser to.
func (h *Handlers) deviceDone(w http.ResponseWriter, r *http.Request, allowed bool) error {
	page, err := h.Pages.DeviceDone(web.DeviceDonePage{Common: h.common(r, nil), Allowed: allowed})
	return h.show(w, http.StatusOK, page, err)
}
