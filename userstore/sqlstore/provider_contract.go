package sqlstore

import (
	"context"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

func (db *DB) SaveCode(ctx context.Context, c userstore.Code, consent *userstore.Consent, idleSince time.Time, events ...audit.Event) error {
	panic("contract")
}
func (db *DB) CodeByHash(ctx context.Context, hash userstore.CodeHash) (userstore.CodeView, error) {
	panic("contract")
}
func (db *DB) RedeemCode(ctx context.Context, r userstore.Redeem, events ...audit.Event) error {
	panic("contract")
}
func (db *DB) RemoveExpiredCodes(ctx context.Context, now time.Time, limit int) (int, error) {
	panic("contract")
}
func (db *DB) UserForLogin(ctx context.Context, l userstore.Login) (u userstore.User, known bool, err error) {
	panic("contract")
}
func (db *DB) StartSession(ctx context.Context, s userstore.StartSession, events ...audit.Event) error {
	panic("contract")
}
func (db *DB) BrowserSession(ctx context.Context, hash userstore.SessionHash, now, idleSince time.Time) (userstore.BrowserSession, userstore.User, error) {
	panic("contract")
}
func (db *DB) TouchSession(ctx context.Context, hash userstore.SessionHash, now time.Time) error {
	panic("contract")
}
func (db *DB) EndSession(ctx context.Context, id string, now time.Time, events ...audit.Event) error {
	panic("contract")
}
func (db *DB) RevokeBrowserSession(ctx context.Context, userID, id string, now time.Time, events ...audit.Event) error {
	panic("contract")
}
func (db *DB) ListBrowserSessions(ctx context.Context, userID string, now, idleSince time.Time) ([]userstore.BrowserSession, error) {
	panic("contract")
}
func (db *DB) ConsentOf(ctx context.Context, userID, clientID string) (userstore.Consent, error) {
	panic("contract")
}
func (db *DB) ListConsents(ctx context.Context, userID string) ([]userstore.Consent, error) {
	panic("contract")
}
func (db *DB) RevokeConsent(ctx context.Context, userID, clientID string, now time.Time, events ...audit.Event) error {
	panic("contract")
}
