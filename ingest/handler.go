package ingest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bluetick/bluetick/ingest/provider"
	"github.com/bluetick/bluetick/schemas"
)

// schemaRaw names a body as received.
const schemaRaw = "Raw/1"

// Handler answers all routes. It is what Start serves.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/webhooks/{provider}/{source}", s.webhook)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { s.answer(w, "", unreadBody(w, r, UnknownPath)) })
	return mux
}

func (s *Server) webhook(w http.ResponseWriter, r *http.Request) {
	src := s.sources[r.PathValue("provider")+"/"+r.PathValue("source")]
	if src == nil {
		s.answer(w, "", unreadBody(w, r, UnknownSource))
		return
	}
	if methods := src.endpoint.Methods(); !slices.Contains(methods, r.Method) {
		w.Header().Set("Allow", strings.Join(methods, ", "))
		s.answer(w, src.name, unreadBody(w, r, MethodNotAllowed))
		return
	}
	req := s.request(r)
	switch handshake, reply := src.endpoint.Handshake(req); handshake {
	case provider.NoHandshake:
		reason, reply := s.accept(w, r, src, req)
		s.answerWith(w, src.name, reason, reply)
	case provider.HandshakeOK:
		s.answerWith(w, src.name, Subscribed, reply)
	case provider.HandshakeRefused:
		s.answer(w, src.name, TokenWrong)
	default:
		s.answer(w, src.name, BadHandshake)
	}
}

// request is r as providers see it, without its body.
func (s *Server) request(r *http.Request) *provider.Request {
	u := *r.URL
	u.Scheme, u.Host = "http", r.Host
	if r.TLS != nil {
		u.Scheme = "https"
	}
	return &provider.Request{Method: r.Method, URL: &u, Header: r.Header, ReceivedAt: schemas.InstantOf(s.now())}
}

// answer ends a request with the reason as its text.
func (s *Server) answer(w http.ResponseWriter, source string, reason Reason) {
	s.answerWith(w, source, reason, provider.Reply{})
}

// answerWith ends a request with the provider's own reply, if it gives one.
func (s *Server) answerWith(w http.ResponseWriter, source string, reason Reason, reply provider.Reply) {
	if reply.Status == 0 {
		reply = provider.Reply{Status: reason.Status(), Text: reason.String() + "\n"}
	}
	s.metrics.answered(source, reply.Status, reason)
	if after := reason.RetryAfter(); after != "" {
		w.Header().Set("Retry-After", after)
	}
	if reply.Location != "" {
		w.Header().Set("Location", reply.Location)
	}
	if reply.Text == "" {
		w.WriteHeader(reply.Status)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(reply.Status)
	// If this fails the client is gone, and nobody else needs to know.
	_, _ = io.WriteString(w, reply.Text)
}

// accept takes one body from its first byte to Kafka's acknowledgement, and
// completes req with it. While it is being read it holds the bytes that are
// there and nothing else, so that who sends slowly is in nobody's way; a slot is
// for what is whole and authentic. The provider's reply is for what was
// accepted, never for a refusal.
func (s *Server) accept(w http.ResponseWriter, r *http.Request, src *source, req *provider.Request) (Reason, provider.Reply) {
	if reason := refusal(src.endpoint.Claim(req)); reason != Accepted {
		return unreadBody(w, r, reason), provider.Reply{}
	}
	g := s.room.enter(s.config.MinBodyRate, cutter(w))
	defer g.leave()
	body, done, reason := s.read(w, r, g)
	defer done()
	if reason != Accepted {
		return unreadBody(w, r, reason), provider.Reply{}
	}
	req.Body, req.ReceivedAt = body, schemas.InstantOf(s.now())
	if reason := refusal(src.endpoint.Verify(req)); reason != Accepted {
		return reason, provider.Reply{}
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		s.hearts.refusals.Add(1)
		return Overloaded, provider.Reply{}
	}
	now, leave := s.hearts.enter()
	defer leave()
	req.ReceivedAt = schemas.InstantOf(now)
	s.metrics.inFlight.Inc()
	defer s.metrics.inFlight.Dec()
	s.metrics.bodyBytes.WithLabelValues(src.name).Observe(float64(len(req.Body)))

	result := src.endpoint.Decode(req, &src.input)
	if s.clock.heard(result.Newest) != "" {
		s.hearts.refusals.Add(1)
		return ClockDoubted, provider.Reply{}
	}
	if result.Stats.Misplaced > 0 && !src.misplaced.Swap(true) {
		s.log.Warn("a list that we know stood where we do not expect it, and was not read; said once per source",
			"source", src.name, "metric", `bluetick_ingest_items_total{what="misplaced"}`,
			"remedy", "the provider may have changed its webhooks: look for a newer bluetick")
	}
	s.values.cap(req.ReceivedAt, result.Events, src.exceeded)
	records := recordsOf(&result, now, src.name)
	if s.config.KeepRaw {
		// kgo may still hold the value after we have answered 503.
		records = append(records, Record{
			Topic: schemas.TopicRaw, Schema: schemaRaw, Key: []byte(src.name),
			Value: bytes.Clone(req.Body), Provider: src.provider, At: now,
		})
	}
	if reason := s.produce(r.Context(), src, &result, records); reason != Accepted {
		return reason, provider.Reply{}
	}
	return Accepted, result.Reply
}

// refusal is the reason that a verdict gives; Accepted if it refuses nothing.
func refusal(v provider.Verdict) Reason {
	switch v {
	case provider.VerdictOK:
		return Accepted
	case provider.VerdictMissing:
		return SignatureMissing
	default:
		return SignatureWrong
	}
}

// unreadBody announces that the connection is closed after the answer, if a body
// is left on it: net/http would wait for it first, to throw it away.
func unreadBody(w http.ResponseWriter, r *http.Request, reason Reason) Reason {
	if r.ContentLength != 0 {
		w.Header().Set("Connection", "close")
	}
	return reason
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

// produce hands the records to Kafka and waits. The wait has a timer of its own
// and does not end when the client leaves: what is in flight is either
// acknowledged or counted as refused.
func (s *Server) produce(ctx context.Context, src *source, result *provider.Result, records []Record) Reason {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.ProduceTimeout)
	defer cancel()
	timer := prometheus.NewTimer(s.metrics.acks.WithLabelValues(src.name))
	err := s.out.Produce(ctx, records)
	timer.ObserveDuration()
	if err != nil {
		s.hearts.refusals.Add(1)
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
