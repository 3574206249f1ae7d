"""Avro: each message holds one record in Avro's binary form, without the schema; both sides know the schema.

    pip install fastavro
    python examples/avro_orders.py [host:port]
"""

import io
import sys
import uuid

import fastavro
from kafka import KafkaConsumer
from kafka import KafkaProducer
from kafka.serializer import Deserializer, Serializer

bootstrap = sys.argv[1] if len(sys.argv) > 1 else 'localhost:9092'
topic = f'avro-orders-{uuid.uuid4().hex[:8]}'

SCHEMA = fastavro.parse_schema({
    'type': 'record',
    'name': 'Order',
    'fields': [
        {'name': 'id', 'type': 'long'},
        {'name': 'customer', 'type': 'string'},
        {'name': 'amount', 'type': 'double'},
        {'name': 'items', 'type': {'type': 'array', 'items': 'string'}},
        {'name': 'note', 'type': ['null', 'string'], 'default': None},
    ],
})


class AvroOrders(Serializer, Deserializer):
    def serialize(self, topic, headers, data):
        buffer = io.BytesIO()
        fastavro.schemaless_writer(buffer, SCHEMA, data)
        return buffer.getvalue()

    def deserialize(self, topic, headers, data):
        return fastavro.schemaless_reader(io.BytesIO(data), SCHEMA)


orders = [
    {'id': 1, 'customer': 'Milena', 'amount': 12.5, 'items': ['paper', 'ink'], 'note': None},
    {'id': 2**40, 'customer': 'Žofie', 'amount': 0.1, 'items': [], 'note': 'by hand'},
]

producer = KafkaProducer(bootstrap_servers=bootstrap, value_serializer=AvroOrders())
for order in orders:
    producer.send(topic, value=order)
producer.flush()

consumer = KafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset='earliest', consumer_timeout_ms=10_000,
                         value_deserializer=AvroOrders())
received = [next(consumer).value for _ in orders]

assert received == orders, received
print(f'{len(received)} Avro orders came back as they were sent')
