// Package outgoing_test proves what the server requests on behalf of others: which members of a
// client's registration make it request an address, and that nothing else goes out.
package outgoing_test
