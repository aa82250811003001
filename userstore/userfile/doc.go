// Package userfile reads and writes accounts in files: JSON lines, and CSV with one column for
// each member. Both hold all that there is of an account, the hash of its password included, so that
// what is written is read, and gives the same account. (CSV has but one kind of line end:
// those within an address become \n.) CSV may come from Django as well: its table auth_user has
// other names for the same things.
//
//	record.go   an account as a line of JSON
//	columns.go  an account as cells of CSV
//	read.go     a file, account by account
//	write.go    a file, account by account
//
// It says what is written in a file, and nothing about whether an account may be so: that is
// userstore's Importer.
package userfile

// Format is how accounts are written. The zero value is whichever the file has.
type Format string

// The formats.
const (
	JSONLines Format = "jsonl"
	CSV       Format = "csv"
)
