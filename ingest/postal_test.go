package ingest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"

	"github.com/bluetick/bluetick/ingest/provider"
	"github.com/bluetick/bluetick/schemas"
)

// postal is the smallest provider that is unlike Meta: it signs its URL, reports
// followed links by GET, asks for a redirect as the answer, gives an id for each
// event but no time, and has no handshake.
type postal struct{ dialect provider.Dialect }

func newPostal() *postal {
	return &postal{provider.Dialect{Provider: "postal", Channel: "post", Revision: 1, IDMarks: []string{"parcel-"}}}
}

func (*postal) Name() string { return "postal" }

func (p *postal) Open(s provider.Settings) (provider.Endpoint, error) {
	err := s.CheckSecrets("for postal it is the stamp")
	if len(s.Secrets) > 1 {
		err = errors.Join(err, errors.New("secrets: postal has one"))
	}
	if s.VerifyToken != "" {
		err = errors.Join(err, errors.New("verify token: postal has no handshake"))
	}
	if err != nil {
		return nil, err
	}
	return &postalEndpoint{p, s.Secrets[0]}, nil
}

type postalEndpoint struct {
	provider *postal
	stamp    string
}

func (*postalEndpoint) Methods() []string { return []string{http.MethodGet} }

func (*postalEndpoint) Handshake(*provider.Request) (provider.Handshake, provider.Reply) {
	return provider.NoHandshake, provider.Reply{}
}

const postalSignature = "&stamp="

func postalStamp(stamp, url string) string {
	mac := hmac.New(sha256.New, []byte(stamp))
	mac.Write([]byte(url))
	return hex.EncodeToString(mac.Sum(nil))
}

// Claim: a URL is whole before the body.
func (e *postalEndpoint) Claim(r *provider.Request) provider.Verdict { return e.Verify(r) }

func (e *postalEndpoint) Verify(r *provider.Request) provider.Verdict {
	signed, given, found := strings.Cut(r.URL.String(), postalSignature)
	switch {
	case !found:
		return provider.VerdictMissing
	case !hmac.Equal([]byte(given), []byte(postalStamp(e.stamp, signed))):
		return provider.VerdictBad
	default:
		return provider.VerdictOK
	}
}

func (e *postalEndpoint) Decode(r *provider.Request, in *provider.Input) provider.Result {
	d := e.provider.dialect.NewDecoder(r, in)
	q := r.URL.Query()
	it := provider.Item{Raw: []byte(r.URL.RawQuery), Pointer: "query", OwnID: q.Get("event")}
	d.Account = d.AccountOr(q.Get("account"))
	d.Person.AddNumber(q.Get("phone"))
	switch parcel := q.Get("parcel"); {
	case !d.Admit(it.Pointer):
	case parcel == "":
		d.Letter(it, provider.ReasonNoMessageID, "the link names no parcel")
	default:
		ev := schemas.Event{Type: schemas.TypeClicked, OccurredAt: r.ReceivedAt, MessageKey: d.MessageKey(parcel)}
		ev.Click = &schemas.Click{Kind: "link", ID: d.Public(q.Get("link"), provider.MaxValue)}
		d.Callback(&ev, q.Get("data"))
		d.Emit(it, ev)
	}
	res := d.Result()
	res.Reply = provider.Reply{Status: http.StatusFound, Location: q.Get("to")}
	return res
}
