package userstore

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/signet-id/signet/internal/totp"
)

func TestImportedAuthenticatorApps(t *testing.T) {
	good := ImportedTOTP{Key: totp.Key{Secret: []byte("12345678901234567890"), Algorithm: "SHA1", Digits: 6, Period: 30},
		LastCounter: -1}
	for _, last := range []int64{-1, 0, 58_000_000, lastSecond / 30} {
		good.LastCounter = last
		if err := good.Validate(); err != nil {
			t.Errorf("%d: %v", last, err)
		}
	}
	for _, last := range []int64{-2, lastSecond/30 + 1, -1 << 63, 1<<63 - 1} {
		bad := good
		bad.LastCounter = last
		if bad.Validate() == nil {
			t.Errorf("the last counter %d is taken", last)
		}
	}
	for _, bad := range []ImportedTOTP{{}, {Key: totp.Key{Secret: []byte("short"), Algorithm: "SHA1", Digits: 6, Period: 30}}} {
		if err := bad.Validate(); err == nil || strings.Contains(err.Error(), "short") {
			t.Error(err)
		}
	}
	for _, v := range []any{good, &good, ImportedFactors{TOTP: &good}} {
		if text := fmt.Sprintf("%v %+v", v, v); strings.Contains(text, "123456") || strings.Contains(text, "49 50") {
			t.Errorf("the secret is shown: %s", text)
		}
	}
}

// The hash of "ABCDEFGHJKLM" is from the tests of a program that reads Keycloak's database.
func TestHashImportedRecoveryCode(t *testing.T) {
	const want = "p+DMhIoz853kiiNUFbBrZwlDskNronzXZ6sjwawFZoDLeSxlPeAWy3h3KHkiJEWa+OtxAZ4qv0CY8+v2QRq2iA=="
	for typed, same := range map[string]bool{
		"ABCDEFGHJKLM": true, "ABCD-EFGH-JKLM": true, "abcd efgh jklm": true, " ABCD\u00a0EFGH-jklm\r\n": true,
		"": false, "ABCDEFGHJKL": false, "ABCDEFGHJKLMN": false, "ABCD_EFGHJKLM": false, "MLKJHGFEDCBA": false,
		"ＡBCDEFGHJKLM": false,
	} {
		hash := HashImportedRecoveryCode(typed)
		if got := base64.StdEncoding.EncodeToString(hash[:]); (got == want) != same {
			t.Errorf("%q: %s", typed, got)
		}
	}
}
