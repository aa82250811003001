package main

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

type user struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

// browser is a person with a browser that runs no JavaScript.
type browser struct {
	http    *http.Client
	issuer  *url.URL
	user    user
	pressed []string // the buttons that were pressed since the last call of open
}

func newBrowser(issuer string, u user) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err) // without options there is no error
	}
	home, err := url.Parse(issuer)
	if err != nil {
		panic(err) // discovery has used this URL
	}
	b := &browser{issuer: home, user: u}
	b.http = &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.URL.Host != home.Host {
			return http.ErrUseLastResponse // another site's address: open returns it
		}
		return nil
	}}
	return b
}

// open goes to an address and fills in the issuer's pages until the browser is sent to another
// site. It returns that site's address.
func (b *browser) open(address string) (*url.URL, error) {
	b.pressed = nil
	answer, err := b.http.Get(address)
	for {
		if err != nil {
			return nil, err
		}
		body, err2 := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err2 != nil {
			return nil, err2
		}
		switch answer.StatusCode / 100 {
		case 2:
			answer, err = b.press(string(body))
		case 3:
			return answer.Location()
		default:
			return nil, fmt.Errorf("%s answered %s: %s", answer.Request.URL, answer.Status, body)
		}
	}
}

var (
	forms   = regexp.MustCompile(`(?s)<form method="post" action="([^"]*)"[^>]*>(.*?)</form>`)
	inputs  = regexp.MustCompile(`<input id="(\w+)"|<input type="hidden" name="(\w+)" value="([^"]*)"`)
	buttons = regexp.MustCompile(`<button id="([\w-]+)"(?: class="primary")?(?: name="(\w+)" value="(\w+)")? type="submit"`)
)

// press fills in the page's form and presses the button that continues, which is the last one.
func (b *browser) press(page string) (*http.Response, error) {
	form := forms.FindStringSubmatch(page)
	if form == nil {
		return nil, fmt.Errorf("the page has no form: %s", page)
	}
	fields := url.Values{}
	for _, m := range inputs.FindAllStringSubmatch(form[2], -1) {
		switch m[1] {
		case "email":
			fields.Set("email", b.user.Email)
		case "password":
			fields.Set("password", b.user.Password)
		case "":
			fields.Set(m[2], html.UnescapeString(m[3]))
		}
	}
	all := buttons.FindAllStringSubmatch(form[2], -1)
	if len(all) == 0 {
		return nil, fmt.Errorf("the form has no button: %s", form[2])
	}
	button := all[len(all)-1]
	if slices.Contains(b.pressed, button[1]) {
		return nil, fmt.Errorf("#%s was shown again: %s", button[1], page)
	}
	b.pressed = append(b.pressed, button[1])
	if button[2] != "" {
		fields.Set(button[2], button[3])
	}
	to, err := b.issuer.Parse(html.UnescapeString(form[1]))
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequest(http.MethodPost, to.String(), strings.NewReader(fields.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", b.issuer.Scheme+"://"+b.issuer.Host)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.http.Do(r)
}
