package mail

// Abroad is s as if its server were on another machine: TLS is demanded.
func (s *SMTP) Abroad() *SMTP {
	s.loopback = false
	return s
}
