// Command run starts a real Kafka for a terminal: it prints the address, serves
// until it is interrupted, and deletes the data.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/bluetick/bluetick/internal/kafkatest/apache"
)

func main() {
	port := flag.Int("port", 9092, "port to listen on, 0 for a free one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, *port); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, port int) error {
	jars, err := apache.Jars(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bluetick-kafka-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b, err := apache.Start(ctx, apache.Config{Jars: jars, Dir: dir, Port: port})
	if err != nil {
		return err
	}
	defer b.Stop()
	fmt.Println(b.Addr())
	<-ctx.Done()
	return nil
}
