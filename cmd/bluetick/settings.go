package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/alecthomas/kong"

	"github.com/bluetick/bluetick/cmd/bluetick/internal/pipeline"
	"github.com/bluetick/bluetick/ingest"
	"github.com/bluetick/bluetick/internal/secret"
)

// settings are the flags every command shares. A flag that is not given leaves
// the setting of the config file; what the file does not set keeps its default.
type settings struct {
	Config string `help:"YAML file with everything that can be set." type:"existingfile" env:"BLUETICK_CONFIG" placeholder:"FILE"`
	Data   string `help:"Folder for all data (default: data). One process at a time." env:"BLUETICK_DATA" placeholder:"DIR"`

	MetaAppSecret   string `help:"App secret that signs Meta's webhooks, as env:NAME or file:PATH: adds a source named main at /v1/webhooks/meta/main." env:"BLUETICK_META_APP_SECRET" placeholder:"env:NAME|file:PATH" secret:"value"`
	MetaVerifyToken string `help:"Verify token for Meta's subscription handshake of that source, as env:NAME or file:PATH." env:"BLUETICK_META_VERIFY_TOKEN" placeholder:"env:NAME|file:PATH" secret:"value"`

	Pepper string `help:"Secret under which contacts are pseudonymised; as env:NAME or file:PATH; the same for every ingester (default: one is made and kept in the data folder)." env:"BLUETICK_PEPPER" placeholder:"env:NAME|file:PATH" secret:"value"`

	IngestListen     string `help:"Address for webhooks (default: 127.0.0.1:8080)." env:"BLUETICK_INGEST_LISTEN" placeholder:"ADDR"`
	ClickhouseListen string `name:"clickhouse-listen" help:"Address of the embedded ClickHouse's HTTP port (default: 127.0.0.1:8123)." env:"BLUETICK_CLICKHOUSE_LISTEN" placeholder:"ADDR"`
	MetricsListen    string `help:"Address for metrics, health and pprof (default: 127.0.0.1:9095)." env:"BLUETICK_METRICS_LISTEN" placeholder:"ADDR"`
	KafkaListen      string `help:"Address on which the embedded Kafka serves other programs, with the user and password in run.json (default: none, only this process reaches it)." env:"BLUETICK_KAFKA_LISTEN" placeholder:"ADDR"`

	KafkaBrokers    []string `help:"Kafka servers to use instead of the embedded one." env:"BLUETICK_KAFKA_BROKERS" placeholder:"HOST:PORT"`
	KafkaAcceptLoss bool     `help:"Start on a damaged log of the embedded Kafka without the records that cannot be read; the files are kept aside." env:"BLUETICK_KAFKA_ACCEPT_LOSS"`
	ClickhouseDSN   string   `name:"clickhouse-dsn" help:"ClickHouse server to use instead of the embedded one, as clickhouse://host:9000 or http://host:8123, or with user:password@ before the host as env:NAME or file:PATH; its database is created if missing (default: bluetick)." env:"BLUETICK_CLICKHOUSE_DSN" placeholder:"DSN|env:NAME|file:PATH" secret:"address"`
	ChdbLib         string   `help:"Path of libchdb, the embedded ClickHouse, if not where make puts it." env:"BLUETICK_CHDB_LIB" placeholder:"FILE"`

	ClickhouseReaderPassword string   `name:"clickhouse-reader-password" help:"Password that readers of the embedded ClickHouse's port must give, as env:NAME or file:PATH (default: none)." env:"BLUETICK_CLICKHOUSE_READER_PASSWORD" placeholder:"env:NAME|file:PATH" secret:"value"`
	HTTPHosts                []string `name:"http-hosts" help:"Names, beside localhost and addresses, under which the ports for SQL and metrics answer." env:"BLUETICK_HTTP_HOSTS" placeholder:"NAME"`

	StartTimeout time.Duration `help:"How long Kafka and ClickHouse may each take to answer at the start (default: 2m)." env:"BLUETICK_START_TIMEOUT" placeholder:"DURATION"`

	LogLevel  string `help:"debug, info, warn or error (default: info)." env:"BLUETICK_LOG_LEVEL" placeholder:"LEVEL"`
	LogFormat string `help:"text or json (default: text)." env:"BLUETICK_LOG_FORMAT" placeholder:"FORMAT"`

	seen []string // warnings of secrets that stand on the command line
}

// AfterApply is called by kong once the flags are read. It looks for secrets on
// the command line: those of the environment do not stand there.
func (s *settings) AfterApply(k *kong.Context) error {
	s.seen = nil
	for _, p := range k.Path {
		if p.Flag == nil || p.Resolved {
			continue
		}
		value, ok := k.FlagValue(p.Flag).(string)
		if ok && tells(p.Flag.Tag.Get("secret"), value) {
			s.seen = append(s.seen, fmt.Sprintf("--%s: every user of this machine sees it with ps: write --%[1]s env:NAME or --%[1]s file:PATH, or set %s", p.Flag.Name, strings.Join(p.Flag.Envs, ", ")))
		}
	}
	return nil
}

// tells reports whether a flag of a kind shows a secret with the value.
func tells(kind, value string) bool {
	switch kind {
	case "value":
		return secret.Literal(value)
	case "address":
		return secret.InAddress(value)
	default:
		return false
	}
}

// load reads the file, lays the flags over it, resolves secrets and validates.
func (s *settings) load() (pipeline.Config, error) {
	c, err := s.over()
	if err != nil {
		return pipeline.Config{}, err
	}
	return finish(c)
}

// over reads the file and lays the flags over it.
func (s *settings) over() (pipeline.Config, error) {
	c, err := pipeline.Load(s.Config)
	if err != nil {
		return pipeline.Config{}, err
	}
	for _, f := range []struct {
		from string
		to   *string
	}{
		{s.Data, &c.Data},
		{s.Pepper, &c.Pepper},
		{s.IngestListen, &c.Ingest.Listen},
		{s.ClickhouseListen, &c.ClickHouse.Listen},
		{s.MetricsListen, &c.Metrics.Listen},
		{s.KafkaListen, &c.Kafka.Listen},
		{s.ClickhouseDSN, &c.ClickHouse.DSN},
		{s.ChdbLib, &c.ClickHouse.Library},
		{s.ClickhouseReaderPassword, &c.ClickHouse.ReaderPassword},
		{s.LogLevel, &c.Log.Level},
		{s.LogFormat, &c.Log.Format},
	} {
		if f.from != "" {
			*f.to = f.from
		}
	}
	if len(s.KafkaBrokers) > 0 {
		c.Kafka.Brokers = s.KafkaBrokers
	}
	if len(s.HTTPHosts) > 0 {
		c.HTTP.Hosts = s.HTTPHosts
	}
	c.Kafka.AcceptLoss = c.Kafka.AcceptLoss || s.KafkaAcceptLoss
	if s.StartTimeout != 0 {
		c.StartTimeout = s.StartTimeout
	}
	if s.MetaAppSecret != "" {
		c.Sources = append(c.Sources, ingest.Source{
			Name: "main", Provider: "meta", Secrets: []string{s.MetaAppSecret}, VerifyToken: s.MetaVerifyToken,
		})
	}
	c.Warnings = append(c.Warnings, s.seen...)
	return c, nil
}

// loadToAsk is load for commands that only ask the servers something.
func (s *settings) loadToAsk() (pipeline.Config, error) {
	c, err := s.over()
	if err != nil {
		return pipeline.Config{}, err
	}
	c.ForAsking()
	return finish(c)
}

// finish resolves secrets and validates.
func finish(c pipeline.Config) (pipeline.Config, error) {
	if err := c.Finish(os.Getenv); err != nil {
		return pipeline.Config{}, err
	}
	return c, nil
}

// asking opens ClickHouse for one question: the server of the DSN, the process
// that runs on the data folder, or the data itself.
func (s *settings) asking(ctx context.Context, question func(driver.Conn) error) error {
	cfg, err := s.loadToAsk()
	if err != nil {
		return err
	}
	return pipeline.Ask(ctx, &cfg, question)
}
