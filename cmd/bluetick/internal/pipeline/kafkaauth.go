package pipeline

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// SASL mechanisms, as Kafka calls them.
const (
	mechanismPlain  = "plain"
	mechanismSHA256 = "scram-sha-256"
	mechanismSHA512 = "scram-sha-512"
)

// SASL is how bluetick logs in to the brokers. Without a user it does not.
type SASL struct {
	// Mechanism is plain, scram-sha-256 or scram-sha-512.
	Mechanism string `yaml:"mechanism"`
	User      string `yaml:"user"`
	Password  string `yaml:"password"`
}

// TLS is how connections to the brokers are encrypted.
type TLS struct {
	Enabled bool `yaml:"enabled"`
	// CA is a file with the certificates to trust, in PEM; empty: the system's.
	CA string `yaml:"ca"`
	// Cert and Key are files with a client's certificate and key, if the brokers
	// want one.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

func (k *Kafka) validateAuth() error {
	var errs []error
	s := &k.SASL
	if !slices.Contains([]string{mechanismPlain, mechanismSHA256, mechanismSHA512}, s.Mechanism) {
		errs = append(errs, fmt.Errorf("sasl.mechanism: %q is none of %s, %s, %s", s.Mechanism, mechanismPlain, mechanismSHA256, mechanismSHA512))
	}
	if (s.User == "") != (s.Password == "") {
		errs = append(errs, errors.New("sasl: user and password are given together or not at all"))
	}
	if s.User != "" && k.Embedded() {
		errs = append(errs, errors.New("sasl: it is for brokers (kafka.brokers); who logs in to the embedded Kafka is in run.json"))
	}
	if (k.TLS.Cert == "") != (k.TLS.Key == "") {
		errs = append(errs, errors.New("tls: cert and key are given together or not at all"))
	}
	if !k.TLS.Enabled && (k.TLS.CA != "" || k.TLS.Cert != "") {
		errs = append(errs, errors.New("tls: files are given and enabled is not true"))
	}
	return errors.Join(errs...)
}

// auth are the options by which clients log in and encrypt.
func (k *Kafka) auth() ([]kgo.Opt, error) {
	var opts []kgo.Opt
	if k.SASL.User != "" {
		opts = append(opts, kgo.SASL(k.SASL.login()))
	}
	if !k.TLS.Enabled {
		return opts, nil
	}
	c, err := k.TLS.config()
	if err != nil {
		return nil, fmt.Errorf("kafka.tls: %w", err)
	}
	return append(opts, kgo.DialTLSConfig(c)), nil
}

func (s *SASL) login() sasl.Mechanism {
	switch s.Mechanism {
	case mechanismSHA256:
		return scram.Auth{User: s.User, Pass: s.Password}.AsSha256Mechanism()
	case mechanismSHA512:
		return scram.Auth{User: s.User, Pass: s.Password}.AsSha512Mechanism()
	default:
		return plain.Auth{User: s.User, Pass: s.Password}.AsMechanism()
	}
}

func (t *TLS) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca: %s holds no certificate in PEM", t.CA)
		}
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("cert, key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
