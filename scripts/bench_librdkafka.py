#!/usr/bin/env python3
"""librdkafka as users run it: produces or consumes so many records, and ends with a line that is its own MB/s.

    bench_librdkafka.py produce|consume ADDRESS TOPIC COUNT BYTES

Imported and connected before the clock runs. Every delivery is checked; a record that is missing is an error.
"""
import sys
import time

from confluent_kafka import Consumer, Producer


def produce(address, topic, count, size):
    failed = []
    producer = Producer({"bootstrap.servers": address, "acks": "all", "linger.ms": 5, "batch.size": 65536,
                         "queue.buffering.max.messages": 200000})
    producer.list_topics(timeout=30)
    value = bytes(range(32, 96)) * (size // 64 + 1)
    value = value[:size]
    begun = time.monotonic()
    for _ in range(count):
        while True:
            try:
                producer.produce(topic, value, on_delivery=lambda error, _: error and failed.append(error))
                break
            except BufferError:
                producer.poll(0.01)
        producer.poll(0)
    left = producer.flush(120)
    if left or failed:
        sys.exit(f"{left} records were not delivered, {len(failed)} failed: {failed[:1]}")
    return time.monotonic() - begun


def consume(address, topic, count, _size):
    consumer = Consumer({"bootstrap.servers": address, "group.id": f"bench-{time.time_ns()}",
                         "auto.offset.reset": "earliest", "enable.auto.commit": False})
    consumer.subscribe([topic])
    seen, begun, deadline = 0, None, time.monotonic() + 120
    while seen < count:
        batch = consumer.consume(1000, timeout=1.0)
        begun = begun or time.monotonic()
        for message in batch:
            if message.error():
                sys.exit(str(message.error()))
        seen += len(batch)
        if time.monotonic() > deadline:
            sys.exit(f"{seen} of {count} records came in 120 s")
    took = time.monotonic() - begun
    consumer.close()
    return took


what, address, topic, count, size = sys.argv[1:]
seconds = {"produce": produce, "consume": consume}[what](address, topic, int(count), int(size))
print(int(count) * int(size) / 1e6 / seconds)
