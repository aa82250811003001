package sqlstore_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var updateSubset = flag.Bool("update", false, "write docs/sql-subset.md anew")

// sqlText is a piece of SQL: a string of a file here. Statements are put together of such pieces.
type sqlText struct {
	file string
	text string
}

var looksLikeSQL = regexp.MustCompile(`\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|WHERE|SET|FROM|VALUES|RETURNING|ON CONFLICT|AND|EXISTS)\b`)

// sqlTexts returns every piece of SQL of the store. Words of other texts, such as errors, do not matter:
// what is looked for below is in none of them.
func sqlTexts(t *testing.T) (texts []sqlText) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				if text, err := strconv.Unquote(literal.Value); err == nil && looksLikeSQL.MatchString(text) {
					texts = append(texts, sqlText{name, text})
				}
			}
			return true
		})
	}
	if len(texts) < 300 {
		t.Fatalf("only %d pieces of SQL were found", len(texts))
	}
	return texts
}

// construct is something that SQL texts have, or must not have.
type construct struct {
	name    string
	pattern *regexp.Regexp
	only    []string // the files that may have it; nil: all
	why     string   // why nothing else may have it, or what an engine must do with it
}

func pattern(text string) *regexp.Regexp { return regexp.MustCompile(`(?s)` + text) }

// constructs are those whose presence is worth knowing, in the order of the document. Whatever is
// bound to files is beyond the subset, and has its reason.
var constructs = []construct{
	{"one row by its key", pattern(`WHERE (\w+\.)?(id|hash|code_hash) = \$`), nil, "index lookups"},
	{"comparison of rows: (a, b) > ($, $)", pattern(`\(\w[\w.]*, \w[\w.]*\) [<>]=? \(`), nil, "pages of lists"},
	{"UPDATE … FROM", pattern(`UPDATE \w+( AS \w+)? SET[^;]*\bFROM \w+( AS)? \w+`), nil, ""},
	{"INSERT … SELECT", pattern(`INSERT INTO \w+ \([^)]*\)\s+SELECT|INSERT INTO \w+ \($`), nil, "a row is added only where others still are"},
	{"ON CONFLICT DO NOTHING", pattern(`ON CONFLICT (\([^)]*\) )?(WHERE [^)]* )?DO NOTHING`), nil, "the first of two writers wins"},
	{"ON CONFLICT DO UPDATE", pattern(`ON CONFLICT \([^)]*\) (WHERE \S+ )?DO UPDATE`), nil, ""},
	{"RETURNING", pattern(`RETURNING`), nil, "names only the columns of the changed table; scalar subqueries fetch the rest"},
	{"scalar subqueries", pattern(`\(SELECT `), nil, ""},
	{"EXISTS and NOT EXISTS", pattern(`EXISTS \(SELECT`), nil, "conditions of writes"},
	{"LEFT JOIN", pattern(`LEFT JOIN`), nil, ""},
	{"UNION ALL", pattern(`UNION ALL`), nil, ""},
	{"UNION", pattern(`UNION\s+SELECT`), nil, ""},
	{"GROUP BY", pattern(`GROUP BY`), nil, ""},
	{"LIKE", pattern(`\bLIKE\b`), nil, "searches of administrators"},
	{"trigrams", pattern(`gin_trgm_ops|search_grams MATCH`), []string{"search.go", "search_fill.go"}, "searches of administrators: pg_trgm where PostgreSQL has it, FTS5 on SQLite; without them the list is read"},
	{"WITH … AS MATERIALIZED", pattern(`AS MATERIALIZED \(SELECT`), nil, "searches of administrators"},
	{"LIMIT and OFFSET", pattern(`\bOFFSET\b`), nil, "the surplus beyond a bound, of one user"},
	{"CAST", pattern(`\bCAST\(`), nil, ""},
	{"common table expression that reads", pattern(`\bWITH \w+ AS \(\s*SELECT`), nil, ""},

	{"advisory lock of a transaction", pattern(`pg_(try_)?advisory_xact_lock`), []string{"dialect.go", "postgres_migrate.go", "audit_months.go"},
		"requests of one budget, and changes of the last administrator, take turns; the migrator holds one, too"},
	{"FOR UPDATE SKIP LOCKED", pattern(`FOR UPDATE`), []string{"dialect.go"}, "the probe of readiness, so that replicas do not wait for each other"},
	{"clock of the database", pattern(`clock_timestamp\(\)|unixepoch\(`), []string{"dialect.go"}, "one method; it is compared with the replica's clock"},
	{"set_config", pattern(`set_config\(`), []string{"dialect.go", "postgres_migrate.go", "audit_months.go"}, "the probe of readiness, and the migrator"},
	{"generate_series", pattern(`generate_series`), []string{"dialect.go"}, "the probe of readiness spills a little to disk"},
	{"settings of the session", pattern(`current_setting\(|pg_backend_pid`), []string{"postgres.go", "pooler.go", "postgres_migrate.go"}, "the checks of a new connection, and the migrator"},
	{"catalog", pattern(`to_regclass|sqlite_schema|pg_catalog|information_schema`), []string{"dialect.go", "sqlitefile.go", "backup.go", "audit_months.go", "postgres_migrate.go", "search.go", "search_fill.go"}, "before migrations and backups, and whether there is an index for searches"},
}

// beyond is what no SQL text may have: some engine that the subset is meant for does not have it, or has
// it with another meaning.
var beyond = map[string]*regexp.Regexp{
	"a cast with ::":                        pattern(`\w::\w`),
	"the clock, by now()":                   pattern(`(?i)\bnow\(\)|current_timestamp|localtimestamp|statement_timestamp|transaction_timestamp`),
	"an array: = ANY($1)":                   pattern(`(?i)\bANY ?\(`),
	"an array: ARRAY[…], unnest":            pattern(`ARRAY\[|unnest\(`),
	"a common table expression that writes": pattern(`\bAS (NOT MATERIALIZED |MATERIALIZED )?\(\s*(INSERT INTO|UPDATE|DELETE FROM)`),
	"LISTEN or NOTIFY":                      pattern(`\b(LISTEN|NOTIFY|pg_notify)\b`),
	"a lock of a session":                   pattern(`pg_advisory_lock|pg_try_advisory_lock`),
	"a lock of a table":                     pattern(`\bLOCK TABLE\b`),
	"rows locked by a read":                 pattern(`\bFOR (SHARE|NO KEY UPDATE|KEY SHARE)\b`),
	"a cursor":                              pattern(`\b(DECLARE|FETCH NEXT|FETCH FORWARD)\b`),
	"a temporary table":                     pattern(`\b(TEMP|TEMPORARY) TABLE\b`),
	"JSON of the database":                  pattern(`jsonb|json_|->>?`),
	"MERGE":                                 pattern(`\bMERGE INTO\b`),
	"LATERAL":                               pattern(`\bLATERAL\b`),
	"a window":                              pattern(`\bOVER \(`),
	"DISTINCT ON":                           pattern(`DISTINCT ON`),
	"ILIKE or SIMILAR":                      pattern(`\bILIKE\b|\bSIMILAR TO\b|~\*`),
	"a function of a stored procedure":      pattern(`\bCALL \w|\bDO \$`),
	"ctid or rowid":                         pattern(`\bctid\b|\browid\b`),
	"RETURNING with an alias":               pattern(`RETURNING \w+\.\w`),
	"a write through an alias, returned":    pattern(`UPDATE \w+ AS \w+ SET.*RETURNING`),
	"TRUNCATE":                              pattern(`\bTRUNCATE \w`),
}

// besides are the files that serve no requests and know which engine they talk to.
var besides = map[string]string{
	"copy_tables.go": "`signet migrate copy` reads the catalog of the PostgreSQL that it fills, and sends rows in arrays",
}

// Every SQL text is of the subset that the engines have in common (architecture: one SQL text for both
// engines), and docs/sql-subset.md says what of it an engine must have.
func TestSQLTextsAreOfTheSubset(t *testing.T) {
	texts := sqlTexts(t)
	for _, s := range texts {
		if besides[s.file] != "" {
			continue
		}
		for what, p := range beyond {
			if found := p.FindString(s.text); found != "" {
				t.Errorf("%s: %q is beyond the subset (%s): %.200s", s.file, found, what, s.text)
			}
		}
	}
	var table strings.Builder
	for _, c := range constructs {
		var files []string
		for _, s := range texts {
			if besides[s.file] == "" && c.pattern.MatchString(s.text) && !slices.Contains(files, s.file) {
				files = append(files, s.file)
			}
		}
		for _, file := range files {
			if c.only != nil && !slices.Contains(c.only, file) {
				t.Errorf("%s: %s is for %s alone", file, c.name, strings.Join(c.only, ", "))
			}
		}
		if len(files) == 0 {
			t.Errorf("no SQL text has %s: take it out of the list", c.name)
		}
		slices.Sort(files)
		fmt.Fprintf(&table, "| %s | %s | %s |\n", c.name, c.why, strings.Join(files, ", "))
	}
	want := subsetPage(table.String())
	const page = "../../docs/sql-subset.md"
	if *updateSubset {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(page); err != nil || string(got) != want {
		t.Errorf("docs/sql-subset.md is not what the SQL texts say; run: go generate ./docs (%v)", err)
	}
}

// A text beyond the subset is found in whatever line it stands.
func TestTheSubsetRefuses(t *testing.T) {
	for text, what := range map[string]string{
		"SELECT id::text FROM users":                                  "a cast with ::",
		"UPDATE users SET at = now()":                                 "the clock, by now()",
		"SELECT id FROM users WHERE id = ANY($1)":                     "an array: = ANY($1)",
		"WITH gone AS (DELETE FROM users WHERE id = $1 RETURNING id)": "a common table expression that writes",
		"LISTEN keys":                                        "LISTEN or NOTIFY",
		"SELECT pg_advisory_lock($1)":                        "a lock of a session",
		"SELECT id FROM users WHERE id = $1 FOR SHARE":       "rows locked by a read",
		"UPDATE users SET a = 1 WHERE b = $1 RETURNING u.id": "RETURNING with an alias",
		"SELECT claims->>'name' FROM users":                  "JSON of the database",
	} {
		if !beyond[what].MatchString(text) {
			t.Errorf("%s is not found in %q", what, text)
		}
	}
	if looksLikeSQL.MatchString("a sentence of an error") {
		t.Error("a sentence is taken for SQL")
	}
}

func subsetPage(table string) string {
	keys := make([]string, 0, len(beyond))
	for what := range beyond {
		keys = append(keys, what)
	}
	slices.Sort(keys)
	return `# The SQL that a database must run

This page is made from the SQL texts of the store (userstore/sqlstore), by ` + "`go generate ./docs`" + `; a test
holds it to them. Signet runs one SQL text on SQLite and on PostgreSQL. An engine that is compatible with
PostgreSQL, a distributed one included, has to run what the table lists, at READ COMMITTED, with unique
constraints and partial unique indexes, and has to answer a serialization failure with 40001 or 40P01: those
are repeated.

| construct | what for | files |
| --- | --- | --- |
` + table + `
No SQL text has any of these, and a test refuses them:

- ` + strings.Join(keys, "\n- ") + `

What serves no requests may have them: ` + besides["copy_tables.go"] + `.

Migrations are the engines' own (userstore/sqlstore/migrations): CREATE TABLE, ALTER TABLE … ADD COLUMN, CREATE
INDEX with conditions, and on PostgreSQL views with timestamptz for operators.
`
}
