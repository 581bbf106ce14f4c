// Package meta is the provider Meta: the WhatsApp Cloud API's webhooks, also
// from those that pass them through unchanged.
package meta

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/bluetick/bluetick/ingest/provider"
	"github.com/bluetick/bluetick/schemas"
)

const (
	name = "meta"
	// revision is raised whenever the decoder makes something else of the same
	// bytes.
	revision = 3
	// signatureHeader holds the HMAC-SHA-256 of the raw body under the app secret,
	// as "sha256=" and 64 hex digits.
	signatureHeader = "X-Hub-Signature-256"
	// maxChallenge bounds what the handshake echoes; Meta sends ten digits.
	maxChallenge = 256
	// idMark begins every message id. What follows is base64 with the phone number
	// in it.
	idMark = "wamid."
)

// Provider is Meta. It is safe for concurrent use.
type Provider struct {
	dialect provider.Dialect
	bodies  fastjson.ParserPool
}

// New returns a Provider.
func New() *Provider {
	return &Provider{dialect: provider.Dialect{
		Provider: name, Channel: schemas.ChannelWhatsApp, Revision: revision, IDMarks: []string{idMark},
	}}
}

// Name is "meta".
func (*Provider) Name() string { return name }

// Open needs at least one app secret; without a verify token the handshake is
// refused.
func (p *Provider) Open(s provider.Settings) (provider.Endpoint, error) {
	if err := s.CheckSecrets("for Meta it is the app secret"); err != nil {
		return nil, err
	}
	e := &endpoint{provider: p, token: s.VerifyToken}
	for _, secret := range s.Secrets {
		e.secrets = append(e.secrets, []byte(secret))
	}
	return e, nil
}

// endpoint is one Meta source, immutable after Open.
type endpoint struct {
	provider *Provider
	secrets  [][]byte
	token    string
}

// Methods: webhooks are posted, and GET is the handshake.
func (*endpoint) Methods() []string { return []string{http.MethodGet, http.MethodPost} }

// Handshake echoes the challenge of whoever knows the verify token.
func (e *endpoint) Handshake(r *provider.Request) (provider.Handshake, provider.Reply) {
	if r.Method != http.MethodGet {
		return provider.NoHandshake, provider.Reply{}
	}
	q := r.URL.Query()
	challenge := q.Get("hub.challenge")
	if q.Get("hub.mode") != "subscribe" || challenge == "" || len(challenge) > maxChallenge {
		return provider.HandshakeBad, provider.Reply{}
	}
	if e.token == "" || !provider.SameToken(q.Get("hub.verify_token"), e.token) {
		return provider.HandshakeRefused, provider.Reply{}
	}
	return provider.HandshakeOK, provider.Reply{Status: http.StatusOK, Text: challenge}
}

// Claim wants X-Hub-Signature-256, well formed.
func (*endpoint) Claim(r *provider.Request) provider.Verdict {
	_, verdict := claimed(r)
	return verdict
}

// claimed is the digest that the header gives.
func claimed(r *provider.Request) ([]byte, provider.Verdict) {
	given := r.Header.Get(signatureHeader)
	if given == "" {
		return nil, provider.VerdictMissing
	}
	digits, found := strings.CutPrefix(given, "sha256=")
	digest, err := hex.DecodeString(digits)
	if !found || err != nil || len(digest) != sha256.Size {
		return nil, provider.VerdictBad
	}
	return digest, provider.VerdictOK
}

// Verify checks X-Hub-Signature-256.
func (e *endpoint) Verify(r *provider.Request) provider.Verdict {
	want, verdict := claimed(r)
	if verdict != provider.VerdictOK {
		return verdict
	}
	verdict = provider.VerdictBad
	var sum [sha256.Size]byte
	for _, secret := range e.secrets {
		mac := hmac.New(sha256.New, secret)
		mac.Write(r.Body)
		if hmac.Equal(mac.Sum(sum[:0]), want) {
			verdict = provider.VerdictOK
		}
	}
	return verdict
}
