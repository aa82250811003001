package userfile

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/signet-id/signet/internal/totp"
	"github.com/signet-id/signet/userstore"
)

// accounts reads a file of which every line has to be good.
func accounts(t *testing.T, text string) (list []Account, lines, unknown []int) {
	t.Helper()
	users, unknown, err := Open(strings.NewReader(text), "")
	if err != nil {
		t.Fatal(err)
	}
	for {
		line, a, err := users.Next()
		if err == io.EOF {
			return list, lines, unknown
		}
		if err != nil {
			t.Fatalf("line %d: %v", line, err)
		}
		list, lines = append(list, a), append(lines, line)
	}
}

// leftOut checks that an account has no factor, and one reason for it, which repeats nothing.
func leftOut(t *testing.T, name string, a Account, line int, reason string) {
	t.Helper()
	if a.Email != "ada@x.test" || a.Factors.TOTP != nil || a.Factors.Recovery != nil {
		t.Errorf("%s: %+v", name, a)
	}
	if len(a.LeftOut) != 1 || a.LeftOut[0].Line != line || !strings.Contains(a.LeftOut[0].Reason, reason) {
		t.Errorf("%s: %+v, want line %d: %s", name, a.LeftOut, line, reason)
	}
	for _, l := range a.LeftOut {
		if strings.Contains(l.Reason, "31323334") || strings.Contains(l.Reason, "1234567") || strings.Contains(l.Reason,
			"Smartphone") {
			t.Errorf("%s: the file is repeated: %s", name, l.Reason)
		}
	}
}

const secret20 = "12345678901234567890"

var hex20 = hex.EncodeToString([]byte(secret20))

func app(last int64) *userstore.ImportedTOTP {
	return &userstore.ImportedTOTP{LastCounter: last,
		Key: totp.Key{Secret: []byte(secret20), Algorithm: "SHA1", Digits: 6, Period: 30}}
}

func TestDevicesOfDjangoOTP(t *testing.T) {
	const userTable = "id,password,last_login,is_superuser,username,first_name,last_name,email," +
		"is_staff,is_active,date_joined"
	const device = "id,name,confirmed,key,step,t0,digits,tolerance,drift,last_t,user_id,throttling_failure_count," +
		"throttling_failure_timestamp,created_at,last_used_at"
	const user = "7,h,,f,ada,Ada,L,ada@x.test,f,t,2020-02-29 13:00:00+01,"
	odd := app(-1)
	odd.Secret, odd.Digits, odd.Period = []byte(secret20+secret20), 8, 60
	for name, c := range map[string]struct {
		header, row string
		want        *userstore.ImportedTOTP
	}{
		"both tables, of psql": {userTable + "," + device,
			user + "3,default,t," + hex20 + ",30,0,6,1,0,58000000,7,0,,2021-01-01 00:00:00+00,", app(58000000)},
		"the device first": {device + "," + userTable,
			"3,default,t," + hex20 + ",30,0,6,1,0,58000000,7,0,,2021-01-01 00:00:00+00,," + strings.TrimSuffix(user, ","),
			app(58000000)},
		"before throttling and timestamps": {userTable +
			",id,name,confirmed,key,step,t0,digits,tolerance,drift,last_t,user_id",
			user + "3,default,1," + hex20 + ",30,0,6,1,-1,-1,7", app(-1)},
		"chosen columns": {userTable + ",key,step,t0,digits,confirmed", user + hex20 + ",30,0,6,True", app(-1)},
		"of values()": {userTable + ",totpdevice__key,totpdevice__step,totpdevice__t0,totpdevice__digits,totpdevice__drift," +
			"totpdevice__last_t,totpdevice__confirmed,totpdevice__tolerance,totpdevice__name",
			user + strings.ToUpper(hex20) + ",30,0,6,1,5,True,1,phone", app(5)},
		"other parameters": {userTable + ",key,step,t0,digits,drift,last_t,confirmed",
			user + hex20 + hex20 + ",60,0,8,0,-1,t", odd},
		"without a device":          {userTable + ",key,step,t0,digits,drift,last_t,confirmed", user + ",,,,,,", nil},
		"without a device, MySQL's": {userTable + ",key,step,t0,digits,confirmed", user + `\N,\N,\N,\N,\N`, nil},
		"without a HOTP device":     {userTable + ",key,digits,counter,confirmed", user + ",,,", nil},
	} {
		list, lines, _ := accounts(t, c.header+"\n"+c.row+"\n")
		if len(list) != 1 || lines[0] != 2 || list[0].LeftOut != nil || list[0].Factors.Recovery != nil ||
			!reflect.DeepEqual(list[0].Factors.TOTP, c.want) {
			t.Errorf("%s: %+v", name, list)
			continue
		}
		u := list[0].User
		if u.Email != "ada@x.test" || u.Username != "ada" || u.Claims.Name != "" || u.Claims.GivenName != "Ada" ||
			u.PasswordHash != "h" || u.CreatedAt.Year() != 2020 {
			t.Errorf("%s: the account became %+v", name, u)
		}
	}
}

func TestDevicesThatCannotBeChecked(t *testing.T) {
	const header = "email,key,step,t0,digits,drift,last_t,confirmed\n"
	for name, c := range map[string]struct{ cells, reason string }{
		"unconfirmed":         {hex20 + ",30,0,6,0,-1,f", "never confirmed"},
		"perhaps confirmed":   {hex20 + ",30,0,6,0,-1,maybe", "confirmed: write true or false"},
		"confirmed is empty":  {hex20 + ",30,0,6,0,-1,", "confirmed"},
		"t0":                  {hex20 + ",30,1300000000,6,0,-1,t", "its t0 is not 0"},
		"t0 is empty":         {hex20 + ",30,,6,0,-1,t", "its t0 is no number"},
		"drift":               {hex20 + ",30,0,6,2,-1,t", "its drift is more"},
		"drift back":          {hex20 + ",30,0,6,-2,-1,t", "its drift is more"},
		"no hex":              {"x" + hex20[1:] + ",30,0,6,0,-1,t", "not hexadecimal"},
		"half a byte":         {hex20[1:] + ",30,0,6,0,-1,t", "not hexadecimal"},
		"base32":              {"GEZDGNBVGY3TQOJQ,30,0,6,0,-1,t", "not hexadecimal"},
		"a short key":         {hex20[:18] + ",30,0,6,0,-1,t", "the length of the secret is not 10 to 128"},
		"five digits":         {hex20 + ",30,0,5,0,-1,t", "the number of digits is not 6 to 8"},
		"many digits":         {hex20 + ",30,0,4294967302,0,-1,t", "impossible"},
		"no digits":           {hex20 + ",30,0,,0,-1,t", "the number of digits is not 6 to 8"},
		"digits are a word":   {hex20 + ",30,0,six,0,-1,t", "its digits is no number"},
		"a fraction":          {hex20 + ",30.5,0,6,0,-1,t", "its step is no number"},
		"a long step":         {hex20 + ",3600,0,6,0,-1,t", "the period is not 15 to 300 seconds"},
		"a step of zero":      {hex20 + ",0,0,6,0,-1,t", "the period is not 15 to 300 seconds"},
		"a step that wraps":   {hex20 + ",4294967326,0,6,0,-1,t", "impossible"},
		"a last code to come": {hex20 + ",30,0,6,0,9223372036854775807,t", "the counter of its last code is impossible"},
		"a last code before":  {hex20 + ",30,0,6,0,-2,t", "the counter of its last code is impossible"},
		"drift is a word":     {hex20 + ",30,0,6,x,-1,t", "its drift is no number"},
	} {
		list, _, _ := accounts(t, header+"ada@x.test,"+c.cells+"\n")
		leftOut(t, name, list[0], 2, c.reason)
	}
	for name, text := range map[string]string{
		"HOTP":         "email,key,digits,tolerance,counter,confirmed\nada@x.test," + hex20 + ",6,5,17,t\n",
		"values()":     "email,hotpdevice__key,hotpdevice__counter\nada@x.test," + hex20 + ",17\n",
		"both devices": "email,key,step,t0,digits,confirmed,hotpdevice__key\nada@x.test,,,,,," + hex20 + "\n",
	} {
		list, _, unknown := accounts(t, text)
		leftOut(t, "HOTP: "+name, list[0], 2, "the authenticator app is left out: HOTP")
		if name == "HOTP" && !reflect.DeepEqual(unknown, []int{4}) {
			t.Errorf("not kept: %v", unknown)
		}
	}
}

// A join has a row for each device. The first good one of an account is kept, and no account is
// imported without the factor that a later row has.
func TestSeveralDevicesOfOneUser(t *testing.T) {
	const header = "id,email,username,key,step,t0,digits,drift,last_t,confirmed\n"
	good := "," + hex20 + ",30,0,6,0,3,t\n"
	list, lines, _ := accounts(t, header+
		"1,ada@x.test,ada,"+hex20+",30,0,6,0,-1,f\n"+ // unconfirmed
		"1,ada@x.test,ada"+good+
		"1,ada@x.test,ada,"+hex20+hex20+",30,0,6,0,4,t\n"+
		"2,bob@x.test,bob,,,,,,,\n"+
		"3,cyd@x.test,cyd"+good+
		"4,cyd@x.test,cyd"+good)
	if len(list) != 4 || !reflect.DeepEqual(lines, []int{2, 5, 6, 7}) {
		t.Fatalf("%v: %+v", lines, list)
	}
	ada := list[0]
	if !reflect.DeepEqual(ada.Factors.TOTP, app(3)) || len(ada.LeftOut) != 2 || ada.LeftOut[0].Line != 2 ||
		!strings.Contains(ada.LeftOut[0].Reason, "never confirmed") || ada.LeftOut[1].Line != 4 ||
		!strings.HasPrefix(ada.LeftOut[1].Reason, "another authenticator app is left out") {
		t.Errorf("%+v", ada)
	}
	if bob := list[1]; bob.Factors.TOTP != nil || bob.LeftOut != nil {
		t.Errorf("%+v", bob)
	}
	for _, cyd := range list[2:] { // two users, who are told apart by their ids
		if cyd.Factors.TOTP == nil || cyd.LeftOut != nil {
			t.Errorf("%+v", cyd)
		}
	}
	// A broken row is an error of its own, and ends no account.
	users, _, err := Open(strings.NewReader(header+"1,ada@x.test,ada"+good+"1,ada@x.test\n2,bob@x.test,bob"+good), "")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for {
		line, a, err := users.Next()
		if err == io.EOF {
			break
		}
		var bad *LineError
		got = append(got, fmt.Sprintf("%d %s %t %t", line, a.Email, a.Factors.TOTP != nil, errors.As(err, &bad)))
	}
	want := []string{"2 ada@x.test true false", "3  false true", "4 bob@x.test true false"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
}

func TestHeadersOfDevices(t *testing.T) {
	for _, missing := range []string{"step", "t0", "digits", "confirmed"} {
		for _, prefix := range []string{"", "totpdevice__"} {
			header := "email"
			for _, name := range []string{"key", "step", "t0", "digits", "confirmed"} {
				if name != missing {
					header += "," + prefix + name
				}
			}
			_, _, err := Open(strings.NewReader(header+"\n"), "")
			if err == nil || !strings.Contains(err.Error(), "no column "+prefix+missing+";") {
				t.Errorf("%s: %v", header, err)
			}
		}
	}
	if _, _, err := Open(strings.NewReader("email,key,key,step,t0,digits,confirmed\n"), ""); err == nil ||
		!strings.Contains(err.Error(), "key is there twice") {
		t.Error(err)
	}
	// Without a key there is no device, and the columns are as unknown as others.
	for header, want := range map[string][]int{
		"email,digits,step,confirmed,digits":                                           {2, 3, 4, 5},
		"email,totpdevice__step":                                                       {2},
		"email,hotpdevice__counter,x":                                                  {2, 3},
		"email,key,step,t0,digits,confirmed,tolerance,color":                           {7, 8},
		"email,id,name,confirmed,key,step,t0,digits,user_id,created_at,last_used_at,x": {3 - 1, 3, 9, 10, 11, 12},
	} {
		if _, unknown, err := Open(strings.NewReader(header+"\n"), ""); err != nil || !reflect.DeepEqual(unknown, want) {
			t.Errorf("%s: %v, %v", header, unknown, err)
		}
	}
}

// line returns a line of JSON with credentials.
func line(t *testing.T, credentials ...any) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{"email": "ada@x.test", "credentials": credentials})
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + "\n"
}

// keycloak returns a credential as Keycloak exports it, without the members that are empty.
func keycloak(kind, secret, data string) map[string]any {
	c := map[string]any{"id": "34389672-9356-4154-9ed6-6c212b869010", "type": kind, "userLabel": "Smartphone",
		"createdDate": 1767605202060}
	for name, text := range map[string]string{"secretData": secret, "credentialData": data} {
		if text != "" {
			c[name] = text
		}
	}
	return c
}

const (
	otpSecret = `{"value":"` + secret20 + `"}`
	otpData   = `{"subType":"totp","digits":6,"counter":0,"period":30,"algorithm":"HmacSHA1"}`
	codesData = `{"hashIterations":1,"algorithm":"RS512","totalCodes":12,"remainingCodes":2}`
)

// codesSecret returns the secret data of recovery codes.
func codesSecret(t *testing.T, codes ...string) (text string, hashes []userstore.ImportedRecoveryCode) {
	t.Helper()
	type element struct {
		Number int    `json:"number"`
		Hash   string `json:"encodedHashedValue"`
	}
	var list []element
	for i, code := range codes {
		sum := userstore.HashImportedRecoveryCode(code)
		hashes = append(hashes, sum)
		list = append(list, element{i + 1, base64.StdEncoding.EncodeToString(sum[:])})
	}
	raw, err := json.Marshal(map[string]any{"codes": list})
	if err != nil {
		t.Fatal(err)
	}
	return string(raw), hashes
}

func TestCredentialsOfKeycloak(t *testing.T) {
	codes, hashes := codesSecret(t, "ABCDEFGHJKLM", "NPQRSTUVWXYZ")
	odd := app(-1)
	odd.Algorithm, odd.Digits, odd.Period = "SHA512", 8, 60
	sha256 := app(-1)
	sha256.Algorithm = "SHA256"
	based := base32.StdEncoding.EncodeToString([]byte(secret20))
	short := app(-1)
	short.Secret = []byte(secret20)[:16]
	for name, c := range map[string]struct {
		credentials []any
		want        userstore.ImportedFactors
	}{
		"none":   {nil, userstore.ImportedFactors{}},
		"an app": {[]any{keycloak("otp", otpSecret, otpData)}, userstore.ImportedFactors{TOTP: app(-1)}},
		"its null": {[]any{keycloak("otp", otpSecret, strings.Replace(otpData, "}", `,"secretEncoding":null}`, 1))},
			userstore.ImportedFactors{TOTP: app(-1)}},
		"base32": {[]any{keycloak("otp", `{"value":"`+based+`"}`, strings.Replace(otpData, "}",
			`,"secretEncoding":"BASE32"}`, 1))},
			userstore.ImportedFactors{TOTP: app(-1)}},
		"base32 with padding": {[]any{keycloak("otp",
			`{"value":"`+strings.ToLower(base32.StdEncoding.EncodeToString(short.Secret))+`"}`,
			strings.Replace(otpData, "}", `,"secretEncoding":"base32"}`, 1))}, userstore.ImportedFactors{TOTP: short}},
		"other parameters": {[]any{keycloak("otp", otpSecret,
			`{"subType":"totp","digits":8,"counter":0,"period":60,"algorithm":"HmacSHA512"}`)},
			userstore.ImportedFactors{TOTP: odd}},
		"SHA-256": {[]any{keycloak("otp", otpSecret, strings.Replace(otpData, "SHA1", "SHA256", 1))},
			userstore.ImportedFactors{TOTP: sha256}},
		"codes first": {[]any{keycloak("recovery-authn-codes", codes, codesData), keycloak("otp", otpSecret, otpData)},
			userstore.ImportedFactors{TOTP: app(-1), Recovery: hashes}},
		"codes of newer versions": {[]any{keycloak("otp", otpSecret, otpData), keycloak("recovery-authn-codes", codes,
			`{"hashIterations":null,"algorithm":"SHA-512","totalCodes":12,"remainingCodes":2}`)},
			userstore.ImportedFactors{TOTP: app(-1), Recovery: hashes}},
		"codes twice": {[]any{keycloak("otp", otpSecret, otpData), keycloak("recovery-authn-codes", codes, codesData),
			keycloak("recovery-authn-codes", codes, codesData)}, userstore.ImportedFactors{TOTP: app(-1), Recovery: hashes}},
		"no codes left": {[]any{keycloak("otp", otpSecret, otpData), keycloak("recovery-authn-codes", `{"codes":[]}`,
			codesData)},
			userstore.ImportedFactors{TOTP: app(-1)}},
	} {
		list, _, _ := accounts(t, line(t, c.credentials...))
		if len(list) != 1 || list[0].LeftOut != nil || list[0].Email != "ada@x.test" || !reflect.DeepEqual(list[0].Factors,
			c.want) {
			t.Errorf("%s: %+v", name, list)
		}
	}
}

func TestCredentialsThatCannotBeChecked(t *testing.T) {
	codes, _ := codesSecret(t, "ABCDEFGHJKLM", "NPQRSTUVWXYZ")
	many, _ := codesSecret(t, strings.Fields(strings.Repeat("A ", maxRecoveryCodes+1))...)
	data := func(old, new string) string {
		text := strings.Replace(otpData, old, new, 1)
		if text == otpData {
			t.Fatalf("no %s", old)
		}
		return text
	}
	for name, c := range map[string]struct {
		credential any
		reason     string
	}{
		"HOTP":                 {keycloak("otp", otpSecret, data("totp", "hotp")), "the authenticator app is left out: HOTP"},
		"HOTP without secrets": {keycloak("otp", "", data("totp", "hotp")), "HOTP"},
		"another subtype":      {keycloak("otp", otpSecret, data("totp", "steam")), "subType is not totp"},
		"no subtype":           {keycloak("otp", otpSecret, "{}"), "subType is not totp"},
		"another algorithm":    {keycloak("otp", otpSecret, data("HmacSHA1", "HmacMD5")), "the algorithm is none of"},
		"no algorithm":         {keycloak("otp", otpSecret, data("HmacSHA1", "")), "the algorithm is none of"},
		"our name for it":      {keycloak("otp", otpSecret, data("HmacSHA1", "SHA1")), "the algorithm is none of"},
		"nine digits": {keycloak("otp", otpSecret, data(`"digits":6`, `"digits":9`)),
			"the number of digits is not 6 to 8"},
		"digits as a text":  {keycloak("otp", otpSecret, data(`"digits":6`, `"digits":"6"`)), "its credentialData is not"},
		"no period":         {keycloak("otp", otpSecret, data(`"period":30,`, "")), "the period is not 15 to 300 seconds"},
		"the admin API's":   {keycloak("otp", "", otpData), "`kc.sh export` writes secrets"},
		"no credentialData": {keycloak("otp", otpSecret, ""), "its credentialData is not"},
		"no JSON":           {keycloak("otp", secret20, otpData), "its secretData is not"},
		"a short secret": {keycloak("otp", `{"value":"123456789"}`, otpData),
			"the length of the secret is not 10 to 128"},
		"no secret":        {keycloak("otp", `{}`, otpData), "the length of the secret is not 10 to 128"},
		"another encoding": {keycloak("otp", otpSecret, data("}", `,"secretEncoding":"HEX"}`)), "base32"},
		"no base32":        {keycloak("otp", otpSecret, data("}", `,"secretEncoding":"BASE32"}`)), "base32"},
		"a passkey":        {keycloak("webauthn", "{}", `{"aaguid":"x"}`), "a passkey is left out"},
		"a passkey alone":  {keycloak("webauthn-passwordless", "{}", "{}"), "a passkey is left out"},
		"a password": {keycloak("password", `{"value":"1234567","salt":"x"}`, `{"hashIterations":5,"algorithm":"argon2"}`),
			"write its hash as password_hash"},
		"an old app":   {map[string]any{"type": "totp", "value": secret20, "digits": 6}, "Keycloak before version 8"},
		"another type": {keycloak("1234567", "{}", "{}"), "a credential is left out: its type is not known here"},
		"no type":      {map[string]any{}, "its type is not known here"},
		"null":         {nil, "it has not the form"},
		"a text":       {"1234567", "it has not the form"},
		"data as object": {map[string]any{"type": "otp", "secretData": map[string]any{"value": secret20}},
			"it has not the form"},

		"lone codes":   {keycloak("recovery-authn-codes", codes, codesData), "the account has none here"},
		"another hash": {keycloak("recovery-authn-codes", codes, `{"algorithm":"SHA-256"}`), "not SHA-512"},
		"a hash repeated": {keycloak("recovery-authn-codes", codes, `{"algorithm":"RS512","hashIterations":2}`),
			"not SHA-512, once"},
		"no hash named":    {keycloak("recovery-authn-codes", codes, `{}`), "not SHA-512"},
		"codes unreadable": {keycloak("recovery-authn-codes", codes, ``), "their credentialData is not"},
		"codes hidden":     {keycloak("recovery-authn-codes", ``, codesData), "their hashes are not in the file"},
		"codes as a text":  {keycloak("recovery-authn-codes", `{"codes":"1234567"}`, codesData), "their secretData is not"},
		"a short hash": {keycloak("recovery-authn-codes",
			`{"codes":[{"number":1,"encodedHashedValue":"MTIzNDU2Nw=="}]}`, codesData), "one of them"},
		"a long hash": {keycloak("recovery-authn-codes",
			`{"codes":[{"encodedHashedValue":"`+base64.StdEncoding.EncodeToString(make([]byte, 65))+`"}]}`, codesData),
			"one of them"},
		"no base64": {keycloak("recovery-authn-codes", `{"codes":[{"encodedHashedValue":"1234567!"}]}`, codesData),
			"one of them"},
		"codes in clear": {keycloak("recovery-authn-codes", `{"codes":[{"number":1,"plainTextValue":"1234567"}]}`,
			codesData), "one of them"},
		"too many codes": {keycloak("recovery-authn-codes", many, codesData), "more than 100"},
	} {
		list, _, _ := accounts(t, "{\"email\":\"bob@x.test\"}\n"+line(t, c.credential))
		if len(list) != 2 {
			t.Fatalf("%s: %+v", name, list)
		}
		leftOut(t, name, list[1], 2, c.reason)
	}

	// What can be checked is kept beside what cannot.
	list, _, _ := accounts(t, line(t, keycloak("otp", otpSecret, data("totp", "hotp")), keycloak("otp", otpSecret,
		otpData),
		keycloak("otp", otpSecret, otpData), keycloak("webauthn", "{}", "{}"),
		keycloak("recovery-authn-codes", `{"codes":[{}]}`, codesData)))
	if a := list[0]; !reflect.DeepEqual(a.Factors, userstore.ImportedFactors{TOTP: app(-1)}) || len(a.LeftOut) != 4 ||
		!strings.HasPrefix(a.LeftOut[1].Reason, "another authenticator app") {
		t.Errorf("%+v", list)
	}
}

func TestCredentialsAreAList(t *testing.T) {
	for _, text := range []string{`{"email":"a@x.test","credentials":{}}`, `{"email":"a@x.test","credentials":"x"}`,
		`{"email":"a@x.test","credentials":[{"type":"otp","type":"otp"}]}`, `{"email":"a@x.test","Credentials":[]}`} {
		if got, bad := read(t, text, JSONLines); len(got) != 0 || len(bad) != 1 || strings.Contains(bad[0], "otp") {
			t.Errorf("%s: %v %q", text, got, bad)
		}
	}
	for _, text := range []string{`{"email":"a@x.test","credentials":null}`, `{"email":"a@x.test","credentials":[]}`} {
		if got, bad := read(t, text, JSONLines); len(got) != 1 || bad != nil {
			t.Errorf("%s: %v %q", text, got, bad)
		}
	}
}
