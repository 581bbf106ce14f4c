package ingest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bluetick/bluetick/ingest/provider"
	"github.com/bluetick/bluetick/schemas"
)

const (
	// schemaRaw names a body as received.
	schemaRaw = "Raw/1"
	// maxChallenge bounds what the handshake echoes; Meta sends ten digits.
	maxChallenge = 256
	// maxPooledBody bounds the read buffers kept for the next request.
	maxPooledBody = 256 << 10
	// firstRead is how much room a body gets before it has sent a byte.
	firstRead = 16 << 10
)

// Handler answers all routes. It is what Start serves.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/webhooks/{provider}/{source}", s.webhook)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { s.answer(w, "", UnknownPath) })
	return mux
}

func (s *Server) webhook(w http.ResponseWriter, r *http.Request) {
	src := s.sources[r.PathValue("provider")+"/"+r.PathValue("source")]
	switch {
	case src == nil:
		s.answer(w, "", UnknownSource)
	case r.Method == http.MethodPost:
		s.answer(w, src.name, s.accept(w, r, src))
	case r.Method == http.MethodGet:
		s.handshake(w, r, src)
	default:
		w.Header().Set("Allow", "GET, POST")
		s.answer(w, src.name, MethodNotAllowed)
	}
}

// answer ends a request with the reason as its text.
func (s *Server) answer(w http.ResponseWriter, source string, reason Reason) {
	s.metrics.answered(source, reason)
	if after := reason.RetryAfter(); after != "" {
		w.Header().Set("Retry-After", after)
	}
	write(w, reason.Status(), reason.String()+"\n")
}

func write(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	// The client is gone if this fails, and nobody else wants to know.
	_, _ = io.WriteString(w, text)
}

// handshake proves to the provider that the URL is ours.
func (s *Server) handshake(w http.ResponseWriter, r *http.Request, src *source) {
	q := r.URL.Query()
	challenge := q.Get("hub.challenge")
	if q.Get("hub.mode") != "subscribe" || challenge == "" || len(challenge) > maxChallenge {
		s.answer(w, src.name, BadHandshake)
		return
	}
	if src.token == "" || !equal(q.Get("hub.verify_token"), src.token) {
		s.answer(w, src.name, TokenWrong)
		return
	}
	s.metrics.answered(src.name, Subscribed)
	write(w, http.StatusOK, challenge)
}

// equal takes the same time wherever the two differ, in length too.
func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// accept takes one body from its first byte to Kafka's acknowledgement. It holds
// a slot all the while: bodies being read are what memory goes to. A client that
// sends slowly loses its slot with ReadTimeout.
func (s *Server) accept(w http.ResponseWriter, r *http.Request, src *source) Reason {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		return Overloaded
	}
	s.metrics.inFlight.Inc()
	defer s.metrics.inFlight.Dec()

	buf, ok := s.bodies.Get().(*bytes.Buffer)
	if !ok {
		buf = bytes.NewBuffer(make([]byte, 0, firstRead))
	}
	defer func() {
		if buf.Cap() <= maxPooledBody {
			buf.Reset()
			s.bodies.Put(buf)
		}
	}()
	if reason := s.read(w, r, buf); reason != Accepted {
		return reason
	}
	body := buf.Bytes()
	switch src.provider.Verify(r.Header, body, src.secrets) {
	case provider.VerdictOK:
	case provider.VerdictMissing:
		return SignatureMissing
	default:
		return SignatureWrong
	}
	s.metrics.bodyBytes.WithLabelValues(src.name).Observe(float64(len(body)))

	now := s.now()
	in := src.input
	in.ReceivedAt = schemas.InstantOf(now)
	result := src.provider.Decode(body, in)
	src.values.cap(in.ReceivedAt, result.Events)
	records := recordsOf(&result, now, src.name)
	if s.config.KeepRaw {
		// kgo can hold on to the value beyond an answer of 503.
		records = append(records, Record{
			Topic: schemas.TopicRaw, Schema: schemaRaw, Key: []byte(src.name),
			Value: bytes.Clone(body), Provider: src.provider.Name(), At: now,
		})
	}
	return s.produce(r.Context(), src, &result, records)
}

// read fills buf with the body, or says why not.
func (s *Server) read(w http.ResponseWriter, r *http.Request, buf *bytes.Buffer) Reason {
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return EncodingUnknown
	}
	if r.ContentLength > s.config.MaxBodyBytes {
		return BodyTooLarge
	}
	_, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, s.config.MaxBodyBytes))
	var tooLarge *http.MaxBytesError
	var timeout net.Error
	switch {
	case err == nil:
		return Accepted
	case errors.As(err, &tooLarge):
		return BodyTooLarge
	case errors.As(err, &timeout) && timeout.Timeout():
		return BodyTimeout
	default:
		return BodyUnreadable
	}
}

// recordsOf is what a body becomes in Kafka.
func recordsOf(r *provider.Result, now time.Time, source string) []Record {
	records := make([]Record, 0, len(r.Events)+len(r.Letters)+1)
	for i := range r.Events {
		e := &r.Events[i]
		records = append(records, Record{
			Topic: schemas.TopicEvents, Schema: schemas.SchemaEvent,
			Key: schemas.EventKey(e), Value: schemas.EncodeEvent(e), At: now,
		})
	}
	for i := range r.Letters {
		records = append(records, Record{
			Topic: schemas.TopicDeadLetters, Schema: schemas.SchemaDeadLetter,
			Key: []byte(source), Value: schemas.EncodeDeadLetter(&r.Letters[i]), At: now,
		})
	}
	return records
}

// produce hands the records to Kafka and waits. The wait has its own timer and
// outlives the client: whether it still listens or not, what is in flight is
// either acknowledged or counted as refused.
func (s *Server) produce(ctx context.Context, src *source, result *provider.Result, records []Record) Reason {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.ProduceTimeout)
	defer cancel()
	timer := prometheus.NewTimer(s.metrics.acks.WithLabelValues(src.name))
	err := s.out.Produce(ctx, records)
	timer.ObserveDuration()
	if err != nil {
		if !s.refused.Swap(true) {
			s.log.Warn("kafka does not take events; answering 503 until it does", "source", src.name, "records", len(records), "err", err)
		}
		return KafkaUnavailable
	}
	if len(records) > 0 && s.refused.Swap(false) {
		s.log.Info("kafka takes events again")
	}
	s.metrics.kept(src.name, result)
	return Accepted
}
