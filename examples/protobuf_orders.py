"""Protobuf: each message holds one serialized Order.

    pip install protobuf
    python examples/protobuf_orders.py [host:port]

The class is usually made by `protoc --python_out`; here its description is given in Python, so one file is enough:

    syntax = "proto3";
    message Order { int64 id = 1; string customer = 2; double amount = 3; repeated string items = 4; }
"""

import sys
import uuid

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from kafka import KafkaConsumer
from kafka import KafkaProducer
from kafka.serializer import Deserializer, Serializer

bootstrap = sys.argv[1] if len(sys.argv) > 1 else 'localhost:9092'
topic = f'protobuf-orders-{uuid.uuid4().hex[:8]}'

Field = descriptor_pb2.FieldDescriptorProto
file = descriptor_pb2.FileDescriptorProto(name='order.proto', package='shop', syntax='proto3')
order_type = file.message_type.add(name='Order')
for number, (name, kind, label) in enumerate([
        ('id', Field.TYPE_INT64, Field.LABEL_OPTIONAL),
        ('customer', Field.TYPE_STRING, Field.LABEL_OPTIONAL),
        ('amount', Field.TYPE_DOUBLE, Field.LABEL_OPTIONAL),
        ('items', Field.TYPE_STRING, Field.LABEL_REPEATED)], start=1):
    order_type.field.add(name=name, number=number, type=kind, label=label)
pool = descriptor_pool.DescriptorPool()
pool.Add(file)
Order = message_factory.GetMessageClass(pool.FindMessageTypeByName('shop.Order'))


class ProtobufOrders(Serializer, Deserializer):
    def serialize(self, topic, headers, data):
        return data.SerializeToString()

    def deserialize(self, topic, headers, data):
        return Order.FromString(data)


orders = [
    Order(id=1, customer='Milena', amount=12.5, items=['paper', 'ink']),
    Order(id=2**40, customer='Žofie', amount=0.1),
]

producer = KafkaProducer(bootstrap_servers=bootstrap, value_serializer=ProtobufOrders())
for order in orders:
    producer.send(topic, value=order)
producer.flush()

consumer = KafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset='earliest', consumer_timeout_ms=10_000,
                         value_deserializer=ProtobufOrders())
received = [next(consumer).value for _ in orders]

assert received == orders, received
print(f'{len(received)} Protobuf orders came back as they were sent')
