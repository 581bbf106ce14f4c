// Package kafkatest gives a test a Kafka of its own.
//
// Which one is chosen by whoever runs the tests, through the environment:
//
//   - nothing set: the embedded broker on a free port with its data in the
//     test's folder, milliseconds to start.
//   - BLUETICK_TEST_KAFKA=apache: a real Apache Kafka from its published jars,
//     one per call, a few seconds to start. Needs Java 17 and, the first time,
//     Maven. (`go run ./internal/kafkatest/apache/run` starts one by hand.)
//   - BLUETICK_TEST_BROKERS=host:port,…: a cluster that is there. Its topics and
//     groups are deleted before each test and after it, so it must hold nothing of
//     value; tests wait for each other, across processes too.
//   - build tag testcontainers: a container, one per call. Needs a Docker engine.
//
// A test that cannot get what was asked for is skipped; it reports what is missing.
package kafkatest
