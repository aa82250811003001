package docs

//go:generate go test ../userstore/sqlstore -run TestSQLTextsAreOfTheSubset -update
