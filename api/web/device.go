package web

import (
	"fmt"
	"html/template"
	"strconv"
	"time"

	"github.com/signet-id/signet/internal/device"
	"github.com/signet-id/signet/internal/qr"
)

// DevicePage asks for the code that a device shows (RFC 8628 section 3.3).
type DevicePage struct {
	Common
	Code     string // as typed, or of the address
	Complete bool   // Code came with the address: the person has to compare it
	Address  string // of this page, for the phone
	SignedIn bool
	Problems []Problem
}

// DeviceRequest is what a consent page says of the device that asks.
type DeviceRequest struct {
	Code               string // as the device shows it
	Address, UserAgent string // of its request
	Asked, Ends, Now   time.Time
	Zone               *time.Location // nil: UTC
}

// DeviceDonePage says that the device has its answer.
type DeviceDonePage struct {
	Common
	Allowed bool
}

// deviceView is what the templates see of a device.
type deviceView struct {
	Complete bool
	QR       template.HTML // of Address
	Address  string        // of the page, or of the device
	SignIn   bool          // a link to the login page

	Code    string
	Program device.Device
	Asked   moment
	Minutes string // that are left
}

// Device makes the page.
func (p *Pages) Device(d DevicePage) (Page, error) {
	v := p.common(d.Common, "device")
	p.choice(v, "device")
	v.Device = &deviceView{Address: clean(d.Address, maxAddress)}
	v.Fields = []field{{
		Name: "user_code", Label: "field.user_code", Hint: "hint.user_code", Type: "text", InputMode: "text",
		Autocomplete: "off", Value: typed(d.Code), Required: true,
	}}
	v.settle(d.Problems)
	v.Device.Complete = d.Complete && d.Code != "" && !v.Wrong()
	for _, problem := range d.Problems {
		v.Device.SignIn = v.Device.SignIn || problem.Code == "rate_limited" && !d.SignedIn
	}
	svg, err := qr.SVG(d.Address, v.Language.Text("pages.app.device_qr"))
	if err != nil {
		return Page{}, fmt.Errorf("page device: %w", err)
	}
	v.Device.QR = template.HTML(svg) //nolint:gosec // internal/qr draws it, and escapes the one text in it
	return p.render(v, p.easier(v, d.Common))
}

// maxAddress bounds the address of our page beside its picture.
const maxAddress = 200

// DeviceDone makes the page.
func (p *Pages) DeviceDone(d DeviceDonePage) (Page, error) {
	v := p.common(d.Common, "device_done")
	p.choice(v, "device")
	v.Allowed, v.Title = d.Allowed, "title.device_denied"
	if d.Allowed {
		v.Title = "title.device_allowed"
	}
	return p.render(v, policy{forms: nowhere})
}

// deviceOf is what a consent page shows of the device that asks; nil: the app is in this browser.
func deviceOf(d *DeviceRequest) *deviceView {
	if d == nil {
		return nil
	}
	zone := d.Zone
	if zone == nil {
		zone = time.UTC
	}
	return &deviceView{
		Code: clean(d.Code, maxLine), Address: clean(d.Address, maxLine), Program: device.Of(d.UserAgent),
		Asked: momentOf(d.Asked, zone), Minutes: minutesLeft(d.Ends.Sub(d.Now)),
	}
}

// minutesLeft counts a minute that has begun.
func minutesLeft(left time.Duration) string {
	return strconv.Itoa(max(1, int((left+time.Minute-1)/time.Minute)))
}

// Prefilled is the code that the choice of another language leads back with; empty: none.
func (v *view) Prefilled() string {
	if v.Device == nil || !v.Device.Complete {
		return ""
	}
	return find(v.all(), "user_code").Value
}
