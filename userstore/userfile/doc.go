// Package userfile reads and writes accounts in files: JSON lines, and CSV with one column for each
// member. Both formats hold every member of an account, including the hash of its password, so an
// account that is written and read again is the same. (CSV has only one kind of line end: those
// within an address become \n.) CSV may also come from Django, whose table auth_user has other
// names for the same members.
//
//	account.go     an account with its second factor
//	record.go      an account as a line of JSON
//	keycloak.go    credentials in a line of JSON, as Keycloak's export names them
//	columns.go     an account as cells of CSV
//	django_otp.go  devices of django-otp as cells of CSV
//	head.go        the checks before the first account
//	read.go        a file, account by account
//	write.go       a file, account by account
//
// The package only knows what is written in a file. userstore's Importer checks whether such an
// account is allowed.
package userfile

// Format is the format of a file. The zero value means the format that the file turns out to have.
type Format string

// The formats.
const (
	JSONLines Format = "jsonl"
	CSV       Format = "csv"
)
