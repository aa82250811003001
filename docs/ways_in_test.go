package docs

//go:generate go test ../api/waysin -run TestTheTablesOfWaysInAreInTheDocuments -update
