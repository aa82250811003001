package userstore_test

import (
	"strings"
	"testing"

	"github.com/signet-id/signet/userstore"
)

func TestAResponseTypeIsASetOfWords(t *testing.T) {
	for text, want := range map[string]string{
		"code": "code", "id_token": "id_token", "token id_token": "id_token token", "id_token token": "id_token token",
		"id_token code": "code id_token", "token code": "code token", "token id_token code": "code id_token token",
		"": "", "token": "", "none": "", "code code": "", "id_token id_token": "", "code ": "", " code": "", "code  id_token": "",
		"CODE": "", "code none": "", "code id_token token evil": "", "code,id_token": "",
	} {
		if got, ok := userstore.ResponseType(text); got != want || ok != (want != "") {
			t.Errorf("%q is %q, %t", text, got, ok)
		}
	}
	for responseType, want := range map[string]string{
		"code": "authorization_code", "id_token": "implicit", "id_token token": "implicit",
		"code id_token": "authorization_code implicit", "code token": "authorization_code implicit",
		"code id_token token": "authorization_code implicit",
	} {
		if got := strings.Join(userstore.GrantsOfResponse(responseType), " "); got != want {
			t.Errorf("%s needs %q", responseType, got)
		}
	}
}
