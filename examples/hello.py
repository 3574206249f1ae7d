"""Sends a greeting to a broker on localhost:9092 and prints what comes back, until Ctrl-C.

    python -m venv venv && venv/bin/pip install kafka-python==3.0.12
    venv/bin/python examples/hello.py
"""

from kafka import KafkaConsumer
from kafka import KafkaProducer

producer = KafkaProducer(bootstrap_servers='localhost:9092')
# A group that has no committed offset yet starts at the end unless told otherwise, and would miss what is sent below.
consumer = KafkaConsumer('my_topic', bootstrap_servers='localhost:9092', group_id='my_group',
                         auto_offset_reset='earliest')

# A value is bytes; kafka-python refuses a str unless the producer has a value_serializer.
producer.send('my_topic', value=b'Hello, Kafka!')
producer.flush()

for message in consumer:
    print(message.value, flush=True)
