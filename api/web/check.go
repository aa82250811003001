package web

// CheckStylesheet says what is wrong with Options.Theme; nil: nothing. The sentence goes on after the name of the file.
func CheckStylesheet(css []byte) error { return usableTheme(css) }

// CheckLogo says what is wrong with Options.Logo.
func CheckLogo(image []byte) error {
	_, _, err := sniff(image)
	return err
}
