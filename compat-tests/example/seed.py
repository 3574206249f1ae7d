from kafka import KafkaProducer
from kafka import KafkaConsumer

producer = KafkaProducer(bootstrap_servers='localhost:9092')
consumer = KafkaConsumer('my_topic', bootstrap_servers='localhost:9092', group_id='my_group')

producer.send('my_topic', value='Hello, Kafka!')

for message in consumer:
    print(message.value)
