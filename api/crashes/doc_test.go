// Package crashes_test lets every statement that a request sends to the database fail, on both stores,
// and looks at what is left (F-15 and F-16 of the fault cases).
//
// A journey is what a person or a program does with the server from its first request to its last. Its
// first runs count the statements of each request. Then it runs again until every statement of every
// request met every fault; a request that several journeys send alike is swept in one of them. The
// database refuses the statement for good, or refuses it and would take it again; the connection ends
// before the statement reaches the server, or after the server has executed it and before the answer
// comes. A client that gets 503 sends the same request to another replica. After each request:
//
//   - the answer is that of the first run, or 503 with Retry-After, never anything else;
//   - what was answered with success is in the database as a whole, and what was not is there as a
//     whole or not at all (the counts of all tables are compared with the first run);
//   - a statement that the database would take again is repeated, and the client notices nothing;
//   - the client that repeats its request reaches the end of the journey.
//
// Every route of the server is in a journey, and a route that meets no fault is in the list of those
// that never ask the store (journeys_test.go). The exceptions stand in a table, each with its reason
// (exceptions_test.go).
package crashes_test
