// Package languages holds every sentence that people read, one file for each language: of the pages, of error
// pages, of what is wrong in a form, and of mail. It knows no page: the packages that show texts name them.
//
//	Load(tags) → Set → Wanted(tags), Choose(Accept-Language) → *Language → Text("pages.login.heading")
//
// The files are JSON because a translator needs nothing else, every translation tool reads it, and strictjson
// parses it without guessing: in YAML a text that begins with {client} would be a mapping, and no a boolean.
// en.json is the original. Each other file has the same names with the same {placeholders}, or Load fails.
// No text depends on a number's grammar: a count stands where one form fits every number.
package languages
