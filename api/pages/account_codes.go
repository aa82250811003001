package pages

import (
	"net/http"
	"strings"
	"time"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// AccountCodesForm makes new recovery codes, or answers the ones that the page shows as a file.
func (h *Handlers) AccountCodesForm(w http.ResponseWriter, r *http.Request, o owner) error {
	const k = web.AccountCodes
	f, err := h.readAccount(w, r, o, k, "step", "codes")
	if err != nil {
		return err
	}
	if f.Get("step") == "download" {
		return h.downloadCodes(w, o, f.Get("codes"))
	}
	proof, err := h.proof(o, f)
	if err != nil {
		return err
	}
	var codes []string
	u, err := h.Accounts.Prove(r.Context(), o.User.ID, proof)
	if err == nil {
		codes, err = h.Accounts.NewRecoveryCodes(r.Context(), u, userstore.KeepAll)
	}
	if err != nil {
		return h.refuseFactors(w, r, o, k, err, nil)
	}
	return h.showCodes(w, r, o, codes, web.DoneCodes)
}

// showCodes shows new recovery codes.
func (h *Handlers) showCodes(w http.ResponseWriter, r *http.Request, o owner, codes []string, done web.Done) error {
	download, err := h.sealCodes(o, codes)
	if err != nil {
		return err
	}
	return h.showFactors(w, r, o, web.AccountCodes, http.StatusOK, func(p *web.AccountPage) {
		p.Done, p.Factors.NewCodes, p.Factors.Download = done, codes, download
	})
}

// sealedCodes are recovery codes on their way back from the page that shows them.
type sealedCodes struct {
	Codes []string `json:"codes"`
	issuer.Until
}

var codesFile = encrypted[sealedCodes]{"encrypted recovery codes"}

// codesLast is how long the page that shows recovery codes offers them as a file.
const codesLast = time.Hour

// sealCodes encrypts recovery codes for the page that shows them, in this session.
func (h *Handlers) sealCodes(o owner, codes []string) (string, error) {
	return codesFile.seal(h, o.browser+" "+o.Session.ID, sealedCodes{codes, h.Issuer.Until(codesLast)})
}

// downloadCodes answers recovery codes as a text file: the ones that are on the page from which the
// form was sent. It works without scripts, and no address carries a code.
func (h *Handlers) downloadCodes(w http.ResponseWriter, o owner, sealed string) error {
	kept, ok, err := codesFile.open(h, o.browser+" "+o.Session.ID, sealed)
	if err != nil {
		return err
	}
	if !ok {
		return problem.New(problem.RequestExpired, "")
	}
	w.Header()["Content-Disposition"] = []string{`attachment; filename="recovery-codes.txt"`}
	lines := append([]string{h.Pages.Service(), h.Issuer.URL, o.User.Email, ""}, kept.Codes...)
	body := strings.Join(lines, "\r\n") + "\r\n"
	wire.WriteBody(w, http.StatusOK, []string{"text/plain; charset=utf-8"}, []byte(body))
	return nil
}
