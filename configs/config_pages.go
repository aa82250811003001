package configs

import "cmp"

// Pages is the section `pages`: how the pages look that people log in at.
type Pages struct {
	// What people call the service, on every page.
	ServiceName string `key:"service_name"`

	// The languages that the pages speak. People see the first that they asked for, and the
	// first of this list when there is none.
	Languages []string `key:"languages"`

	// A CSS file that comes after ours. Read at the start; at most 256 KiB.
	Stylesheet string `key:"stylesheet"`

	// An image file: PNG, JPEG, WebP or SVG. Read at the start; at most 256 KiB.
	Logo string `key:"logo"`
}

// Service returns the name of the service for people.
func (c Config) Service() string { return cmp.Or(c.Pages.ServiceName, Default().Pages.ServiceName) }
