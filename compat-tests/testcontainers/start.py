"""Starts an image with testcontainers-python, says where it answers, and stops it when the input ends."""

import sys

from testcontainers.kafka import KafkaContainer

case, image = sys.argv[1:]
container = KafkaContainer(image)
if case == "kraft":
    container = container.with_kraft()
with container:
    print("bootstrap", container.get_bootstrap_server(), flush=True)
    sys.stdin.read()
