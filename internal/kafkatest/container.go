//go:build testcontainers

package kafkatest

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"
)

const (
	// image is the Kafka that the jars are of.
	image = "apache/kafka:4.4.0"
	// containerTimeout bounds pulling the image and starting it.
	containerTimeout = 3 * time.Minute
)

// byDefault starts Kafka in a container.
func byDefault(t testing.TB) *Cluster {
	t.Helper()
	provider, err := testcontainers.NewDockerProvider()
	if err != nil {
		t.Skipf("no Docker engine: %v", err)
	}
	if err := provider.Health(t.Context()); err != nil {
		t.Skipf("no Docker engine answers: %v", err)
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	inside, err := network.ParsePort(fmt.Sprintf("%d/tcp", port))
	if err != nil {
		t.Fatal(err)
	}
	c, err := testcontainers.Run(
		t.Context(), image,
		testcontainers.WithEnv(environment(port)),
		testcontainers.WithExposedPorts(inside.String()),
		// Kafka must know before it starts by which port clients reach it, so the
		// port is the same inside and outside.
		testcontainers.WithHostConfigModifier(func(hc *container.HostConfig) {
			hc.PortBindings = network.PortMap{inside: {{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: strconv.Itoa(port)}}}
		}),
		testcontainers.WithWaitStrategyAndDeadline(containerTimeout, wait.ForLog("Kafka Server started")),
	)
	testcontainers.CleanupContainer(t, c)
	if err != nil {
		t.Fatalf("start %s: %v", image, err)
	}
	return &Cluster{Brokers: []string{net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}}
}

// environment configures one node as the image wants it, with what tests want:
// topics only on purpose, no pause before the first rebalance.
func environment(port int) map[string]string {
	return map[string]string{
		"KAFKA_NODE_ID":                                  "1",
		"KAFKA_PROCESS_ROLES":                            "broker,controller",
		"KAFKA_CONTROLLER_QUORUM_VOTERS":                 "1@localhost:29093",
		"KAFKA_CONTROLLER_LISTENER_NAMES":                "CONTROLLER",
		"KAFKA_LISTENERS":                                fmt.Sprintf("PLAINTEXT://:%d,CONTROLLER://:29093", port),
		"KAFKA_ADVERTISED_LISTENERS":                     fmt.Sprintf("PLAINTEXT://127.0.0.1:%d", port),
		"KAFKA_LISTENER_SECURITY_PROTOCOL_MAP":           "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
		"KAFKA_AUTO_CREATE_TOPICS_ENABLE":                "false",
		"KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS":         "0",
		"KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS":             "1000",
		"KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR":         "1",
		"KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
		"KAFKA_TRANSACTION_STATE_LOG_MIN_ISR":            "1",
	}
}

func freePort() (int, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port, nil
}
