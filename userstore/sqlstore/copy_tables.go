package sqlstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"strings"
)

// copied are the tables that a copy holds, each after those that its rows refer to. The key ring is
// the last: no server starts on a database without it. write_probe holds nothing but the times of
// probes, and the tables of searches are made anew from the users, by triggers.
var copied = []string{
	"signet_schema", "users", "clients",
	"status_lists", "status_ended", "status_clients",
	"grants", "app_sessions", "codes", "pushed_requests", "device_authorizations", "browser_sessions", "consents", "subjects",
	"client_assertions", "dpop_proofs", "registration_tokens",
	"authenticator_apps", "passkeys", "recovery_codes", "retired_apps", "retired_passkeys", "retired_codes",
	"trusted_browsers", "spent_handles", "one_time_tokens",
	"mail_requests", "outbox", "pending_signups", "throttle_attempts", "throttle_networks", "audit_events",
	"signing_keys", "key_ring",
}

// copyTable is a table as both engines have it.
type copyTable struct {
	name    string
	columns []copyColumn // in the order of their names
	key     []int        // places of the columns of the primary key; none: the table has one row
}

type copyColumn struct{ name, kind string }

// The kinds of columns, as PostgreSQL names them.
const (
	kindText  = "text"
	kindInt   = "bigint"
	kindBool  = "boolean"
	kindBytes = "bytea"
)

// copyTables reads the columns and keys of the tables to copy from a PostgreSQL database.
func (db named) copyTables(ctx context.Context) ([]copyTable, error) {
	found := map[string]*copyTable{}
	err := db.rows(ctx, bind(`SELECT CAST(c.relname AS TEXT), CAST(a.attname AS TEXT), format_type(a.atttypid, a.atttypmod)
		FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
		ORDER BY c.relname, CAST(a.attname AS TEXT) COLLATE "C"`),
		func() { clear(found) }, func(s scanner) error {
			var table string
			var c copyColumn
			if err := s.Scan(&table, &c.name, &c.kind); err != nil {
				return err
			}
			t := found[table]
			if t == nil {
				t = &copyTable{name: table}
				found[table] = t
			}
			t.columns = append(t.columns, c)
			return nil
		})
	if err != nil {
		return nil, err
	}
	err = db.rows(ctx, bind(`SELECT CAST(c.relname AS TEXT), CAST(a.attname AS TEXT)
		FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
			CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY k (number, place)
			JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number
		WHERE n.nspname = current_schema() AND i.indisprimary AND c.relkind IN ('r', 'p') ORDER BY c.relname, k.place`),
		func() {
			for _, t := range found {
				t.key = nil
			}
		}, func(s scanner) error {
			var table, column string
			if err := s.Scan(&table, &column); err != nil {
				return err
			}
			t := found[table]
			for i, c := range t.columns {
				if c.name == column {
					t.key = append(t.key, i)
				}
			}
			return nil
		})
	if err != nil {
		return nil, err
	}
	var tables []copyTable
	for _, name := range copied {
		t := found[name]
		if t == nil {
			return nil, fmt.Errorf("the target has no table %s", name)
		}
		for _, c := range t.columns {
			switch c.kind {
			case kindText, kindInt, kindBool, kindBytes:
			default:
				return nil, fmt.Errorf("the column %s.%s is a %s, which no copy knows", t.name, c.name, c.kind)
			}
		}
		tables = append(tables, *t)
	}
	return tables, nil
}

func (t copyTable) names() string {
	var names []string
	for _, c := range t.columns {
		names = append(names, c.name)
	}
	return strings.Join(names, ", ")
}

// targets returns what a row is scanned into.
func (t copyTable) targets() []any {
	row := make([]any, len(t.columns))
	for i, c := range t.columns {
		switch c.kind {
		case kindText:
			row[i] = new(string)
		case kindInt:
			row[i] = new(int64)
		case kindBool:
			row[i] = new(bool)
		case kindBytes:
			row[i] = new([]byte)
		}
	}
	return row
}

// values returns what was scanned. It refuses what only SQLite can hold.
func (t copyTable) values(row []any) ([]any, error) {
	values := make([]any, len(row))
	for i, target := range row {
		switch v := target.(type) {
		case *string:
			if err := text(*v); err != nil {
				return nil, fmt.Errorf("the column %s of a row of the table %s holds a text that PostgreSQL cannot hold: %w",
					t.columns[i].name, t.name, err)
			}
			values[i] = *v
		case *int64:
			values[i] = *v
		case *bool:
			values[i] = *v
		case *[]byte:
			values[i] = append([]byte{}, *v...) // never nil, which would be NULL
		}
	}
	return values, nil
}

func (t copyTable) keyOf(row []any) []any {
	key := make([]any, len(t.key))
	for n, i := range t.key {
		key[n] = row[i]
	}
	return key
}

// insert inserts rows. Those that are there already, from a try whose answer was lost, stay.
func (t copyTable) insert(rows [][]any) stmt {
	args := make([]any, len(t.columns))
	places := make([]string, len(t.columns))
	for i, c := range t.columns {
		switch c.kind {
		case kindText:
			args[i] = column[string](rows, i)
		case kindInt:
			args[i] = column[int64](rows, i)
		case kindBool:
			args[i] = column[bool](rows, i)
		case kindBytes:
			args[i] = column[[]byte](rows, i)
		}
		places[i] = `CAST($` + strconv.Itoa(i+1) + ` AS ` + c.kind + `[])`
	}
	return bind(`INSERT INTO `+t.name+` (`+t.names()+`) SELECT * FROM unnest(`+strings.Join(places, ", ")+`) ON CONFLICT DO NOTHING`, args...)
}

func column[T any](rows [][]any, i int) []T {
	values := make([]T, len(rows))
	for n, row := range rows {
		values[n] = row[i].(T)
	}
	return values
}

func sizeOf(row []any) (bytes int) {
	for _, v := range row {
		switch v := v.(type) {
		case string:
			bytes += len(v)
		case []byte:
			bytes += len(v)
		}
		bytes += 8
	}
	return bytes
}

// tableSum counts the rows of a table and computes their SHA-256, alike on both engines: of each
// value its kind, and of texts and bytes the length before the content.
type tableSum struct {
	hash   hash.Hash
	rows   int64
	buffer []byte
}

func newTableSum(t copyTable) tableSum {
	s := tableSum{hash: sha256.New()}
	s.hash.Write([]byte(t.name + "\x00"))
	for _, c := range t.columns {
		s.hash.Write([]byte(c.name + " " + c.kind + "\x00"))
	}
	return s
}

func (s *tableSum) add(row []any) {
	b := s.buffer[:0]
	for _, value := range row {
		switch v := value.(type) {
		case string:
			b = binary.BigEndian.AppendUint64(append(b, 't'), uint64(len(v)))
			b = append(b, v...)
		case []byte:
			b = binary.BigEndian.AppendUint64(append(b, 'y'), uint64(len(v)))
			b = append(b, v...)
		case int64:
			b = binary.BigEndian.AppendUint64(append(b, 'i'), uint64(v))
		case bool:
			b = append(b, 'b', 0)
			if v {
				b[len(b)-1] = 1
			}
		}
	}
	s.hash.Write(b)
	s.buffer = b
	s.rows++
}

// text returns the sum of the rows so far.
func (s *tableSum) text() string { return hex.EncodeToString(s.hash.Sum(nil)) }
