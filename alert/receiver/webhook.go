package receiver

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	// maxAnswerBytes of an answer are read, so that the connection can be used
	// again; its content is not looked at.
	maxAnswerBytes = 64 << 10
	// The specification's bounds on a secret.
	leastSecretBytes, mostSecretBytes = 24, 64
	secretPrefix                      = "whsec_"
)

// WebhookConfig describes one HTTP receiver: an entry of alerts.webhooks in the
// operator's file.
type WebhookConfig struct {
	// Name in metrics and dead letters.
	Name string `yaml:"name"`
	// URL to post to; never logged.
	URL string `yaml:"url"`
	// Secret is "whsec_" and 24 to 64 bytes in base64; never logged.
	Secret string `yaml:"secret"`
}

// Validate returns all mistakes at once, without the name of the webhook.
func (c WebhookConfig) Validate() error {
	var errs []error
	if c.Name == "" {
		errs = append(errs, errors.New("name is empty"))
	}
	if u, err := url.Parse(c.URL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		errs = append(errs, errors.New("url: want http:// or https:// and a host"))
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(c.Secret, secretPrefix))
	if c.Secret == "" {
		errs = append(errs, errors.New("secret: none given; make one with: echo whsec_$(openssl rand -base64 32)"))
	} else if !strings.HasPrefix(c.Secret, secretPrefix) || err != nil || len(key) < leastSecretBytes || len(key) > mostSecretBytes {
		errs = append(errs, fmt.Errorf("secret: want %s and %d to %d bytes in base64", secretPrefix, leastSecretBytes, mostSecretBytes))
	}
	return errors.Join(errs...)
}

// Webhook posts notifications as JSON, signed as Standard Webhooks
// (standardwebhooks.com): webhook-id is Notification.Key, the same on every
// repeat; webhook-timestamp is the wall time of the attempt, because receivers
// refuse old ones, whatever clock the fold runs on.
type Webhook struct {
	cfg    WebhookConfig
	signer *standardwebhooks.Webhook
	client *http.Client
	wall   func() time.Time
}

// NewWebhook returns a receiver. wall is the wall clock, also where the rest of
// the process runs on a virtual one.
func NewWebhook(cfg WebhookConfig, wall func() time.Time) (*Webhook, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("webhook %q: %w", cfg.Name, err)
	}
	signer, err := standardwebhooks.NewWebhook(cfg.Secret)
	if err != nil {
		return nil, fmt.Errorf("webhook %q: secret: %w", cfg.Name, err)
	}
	// A transport of its own: Close must not touch other people's connections.
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
		IdleConnTimeout: 90 * time.Second, MaxIdleConnsPerHost: 2,
	}
	return &Webhook{cfg: cfg, signer: signer, wall: wall, client: &http.Client{
		Transport: transport,
		// Following a redirect would send the signed body to a place nobody
		// configured.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Name is the configured name.
func (w *Webhook) Name() string { return w.cfg.Name }

// Close drops idle connections.
func (w *Webhook) Close() { w.client.CloseIdleConnections() }

// Send posts n once.
func (w *Webhook) Send(ctx context.Context, n Notification) error {
	body, err := json.Marshal(n)
	if err != nil {
		return &Error{Reason: ReasonRefused, Err: fmt.Errorf("encode notification: %w", err)}
	}
	return w.post(ctx, n.Key, body)
}

func (w *Webhook) post(ctx context.Context, id string, body []byte) error {
	now := w.wall()
	signature, err := w.signer.Sign(id, now, body)
	if err != nil {
		return &Error{Reason: ReasonRefused, Err: fmt.Errorf("sign: %w", err)}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return &Error{Reason: ReasonRefused, Err: errors.New("make request: the url is not usable")}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "bluetick")
	req.Header.Set(standardwebhooks.HeaderWebhookID, id)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	resp, err := w.client.Do(req)
	if err != nil {
		// url.Error spells out the URL, which may hold a token.
		if u := (*url.Error)(nil); errors.As(err, &u) {
			err = u.Err
		}
		return fmt.Errorf("post: %w", err)
	}
	defer resp.Body.Close()
	// The status decides; a body that breaks off only costs the connection.
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswerBytes)
	return classify(resp)
}

// classify sorts answers: 2xx took it; 408, 429 and 5xx may pass; everything
// else, redirects too, will be the same next time.
func classify(resp *http.Response) error {
	code := resp.StatusCode
	if code >= 200 && code < 300 {
		return nil
	}
	err := fmt.Errorf("post: status %d", code)
	if code != http.StatusRequestTimeout && code != http.StatusTooManyRequests && code < 500 {
		return &Error{Reason: ReasonRefused, Err: err}
	}
	if s, perr := strconv.Atoi(resp.Header.Get("Retry-After")); perr == nil && s > 0 && s < 1<<20 {
		return &Busy{time.Duration(s) * time.Second, err}
	}
	return err
}
