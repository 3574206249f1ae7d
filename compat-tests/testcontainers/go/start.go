// Starts an image with testcontainers-go, says where it answers, and stops it when the input ends.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/testcontainers/testcontainers-go/modules/kafka"
)

func main() {
	if err := run(context.Background(), os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, image string) error {
	container, err := kafka.Run(ctx, image)
	if container != nil {
		defer container.Terminate(ctx)
	}
	if err != nil {
		return err
	}
	brokers, err := container.Brokers(ctx)
	if err != nil {
		return err
	}
	fmt.Println("bootstrap", brokers[0])
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
