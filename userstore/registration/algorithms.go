package registration

import (
	"context"
	"slices"
	"strings"

	"github.com/signet-id/signet/userstore"
)

// checkAlgorithms checks that an active key signs with each algorithm that c names and old did not.
func (r *Registry) checkAlgorithms(ctx context.Context, old, c userstore.Client, fs *userstore.Faults) error {
	before := old.AlgorithmUses()
	named := slices.DeleteFunc(c.AlgorithmUses(), func(u userstore.AlgorithmUse) bool {
		return slices.ContainsFunc(before, func(b userstore.AlgorithmUse) bool { return b.Member == u.Member && b.Algorithm == u.Algorithm })
	})
	if len(named) == 0 {
		return nil
	}
	active, err := r.Algorithms(ctx)
	if err != nil {
		return err
	}
	for _, u := range named {
		if !slices.Contains(active, u.Algorithm) {
			fs.Add(u.Member, notAllowed("No key signs with this algorithm now. Those that do: "+strings.Join(active, ", ")+"."))
		}
	}
	return nil
}

// EncryptionMembers are the members of a registration that ask for encryption. They are refused
// where a client is registered, rather than ignored: the client would wait for what never comes.
var EncryptionMembers = []string{
	"id_token_encrypted_response_alg", "id_token_encrypted_response_enc",
	"userinfo_encrypted_response_alg", "userinfo_encrypted_response_enc",
	"introspection_encrypted_response_alg", "introspection_encrypted_response_enc",
	"authorization_encrypted_response_alg", "authorization_encrypted_response_enc",
	"request_object_encryption_alg", "request_object_encryption_enc",
}

// NoEncryption says so.
const NoEncryption = "Nothing is encrypted here: leave this out. Tokens and answers are signed."
