// Package faultproxy is a TCP proxy that makes faults: between replicas and their database, and
// between clients and replicas.
//
//	client ── Proxy ── target          ToTarget: what the client sends; ToClient: the answers
//
// A proxy passes everything on until it is told otherwise. A fault that is set holds for every
// connection, those that are open and those that come, until Heal. Reset and HalfClose are acts: they
// meet the connections that are open now.
//
// The package knows nothing of tests, so programs can use it. Its faults are those that a proxy can
// make without rights on the machine's network: the kernel acknowledges what the proxy does not pass
// on, and a refused connection is one that is reset as soon as it is open.
package faultproxy
