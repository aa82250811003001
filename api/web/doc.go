// Package web is the hosted pages: their templates, texts and style. It knows what a page shows and
// nothing of how it came about; one typed function makes each page.
//
//	LoginPage, ConsentPage, …  →  view  →  templates/*.html  →  Page{Body, CSP}
//	  (web.go)                (view.go)  texts.go, static/
//
// Pages need no JavaScript. static/page.js makes forms easier where it runs, and one page sends its form by
// itself (form_post.html). Texts are in internal/languages. What others wrote is cleaned before it is shown
// (clean.go), stands in an element that isolates its direction, and is escaped by html/template; the
// Content-Security-Policy of each page (csp.go) names what that page loads and where its forms lead, and
// forbids the rest. What an operator may change is in docs/pages.md.
//
// Left to the caller: headers, cookies, CSRF tokens, and which page it is time for.
package web
