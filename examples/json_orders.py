"""JSON: Python values go in, the same values come out. The client turns them into bytes; the broker sees bytes only.

    python examples/json_orders.py [host:port]
"""

import sys
import uuid

from kafka import KafkaConsumer
from kafka import KafkaProducer
from kafka.serializer import JsonSerializer

bootstrap = sys.argv[1] if len(sys.argv) > 1 else 'localhost:9092'
topic = f'json-orders-{uuid.uuid4().hex[:8]}'

orders = [
    {'id': 1, 'customer': 'Milena', 'paid': True, 'amount': 12.5, 'items': ['paper', 'ink']},
    {'id': 2, 'customer': 'Žofie', 'paid': False, 'amount': 0.1, 'items': [], 'note': None},
]

producer = KafkaProducer(bootstrap_servers=bootstrap, value_serializer=JsonSerializer())
for order in orders:
    producer.send(topic, key=str(order['id']).encode(), value=order)
producer.flush()

consumer = KafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset='earliest', consumer_timeout_ms=10_000,
                         value_deserializer=JsonSerializer())
received = [next(consumer).value for _ in orders]

assert received == orders, received
print(f'{len(received)} JSON orders came back as they were sent')
