// Package apache runs a real Apache Kafka from its published jars on loopback,
// for tests and benchmarks on machines with Java and without Docker. It is one
// KRaft node that is broker and controller at once.
//
// The process belongs to the program that started it: Kill and Stop end it by
// its process id, and on Linux it also dies with its parent, however that ends.
package apache
