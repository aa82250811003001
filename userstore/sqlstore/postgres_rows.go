package sqlstore

import (
	"encoding/binary"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// plainRows scans rows of the four types that our columns have without pgx's plans, which are made
// anew for each column of each query: most queries return one row of many columns. All texts of a
// row share one piece of memory, so what outlives the request is cloned. pgx scans whatever else a
// query returns.
type plainRows struct{ pgx.Rows }

// Scan implements scanner.
func (r *plainRows) Scan(dest ...any) error {
	fields, values := r.FieldDescriptions(), r.RawValues()
	if len(fields) != len(dest) || len(values) != len(dest) {
		return r.Rows.Scan(dest...)
	}
	size := 0
	for i := range dest {
		switch plainType(&fields[i], values[i], dest[i]) {
		case pgtype.TextOID:
			size += len(values[i])
		case 0:
			return r.Rows.Scan(dest...)
		}
	}
	var texts strings.Builder
	texts.Grow(size)
	for i, value := range values {
		switch to := dest[i].(type) {
		case *string:
			begin := texts.Len()
			texts.Write(value)
			*to = texts.String()[begin:]
		case *int64:
			*to = int64(binary.BigEndian.Uint64(value)) //nolint:gosec // two's complement
		case *bool:
			*to = value[0] != 0
		case *[]byte:
			*to = append(make([]byte, 0, len(value)), value...)
		}
	}
	return nil
}

// plainType returns the type of a column whose value, not NULL, Scan can store in dest, or 0.
func plainType(f *pgconn.FieldDescription, value []byte, dest any) uint32 {
	if value == nil {
		return 0
	}
	binaryForm := f.Format == pgtype.BinaryFormatCode
	ok := false
	switch dest.(type) {
	case *string:
		ok = f.DataTypeOID == pgtype.TextOID // the same bytes in both formats
	case *int64:
		ok = f.DataTypeOID == pgtype.Int8OID && binaryForm && len(value) == 8
	case *bool:
		ok = f.DataTypeOID == pgtype.BoolOID && binaryForm && len(value) == 1
	case *[]byte:
		ok = f.DataTypeOID == pgtype.ByteaOID && binaryForm
	}
	if !ok {
		return 0
	}
	return f.DataTypeOID
}
