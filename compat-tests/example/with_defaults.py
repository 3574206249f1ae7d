"""Runs a program as it is, under two other defaults of kafka-python, until it has printed its first line.

    with_defaults.py PROGRAM

The program sends a `str` without saying how to make bytes of it, and reads with a new group without saying where to
begin. kafka-python's own defaults refuse the first and skip the second, so both defaults are replaced from outside:
`value_serializer` encodes a str, `auto_offset_reset` is `earliest`. The program's text is not touched.

It prints for ever; here it is ended after the first line, or after 60 s without one.
"""

import builtins
import runpy
import signal
import sys

import kafka

PATIENCE_S = 60


def encode(value):
    return value.encode() if isinstance(value, str) else value


try:
    from kafka.serializer import DefaultSerializer  # since 3.0; it encodes a str and leaves bytes alone
    serializer = DefaultSerializer()
except ImportError:
    serializer = encode

kafka.KafkaProducer.DEFAULT_CONFIG['value_serializer'] = serializer
kafka.KafkaConsumer.DEFAULT_CONFIG['auto_offset_reset'] = 'earliest'


def print_and_end(*values):
    builtins.print(*values, flush=True)
    # The group is left in good order, so that the next run need not wait for this member to be given up.
    consumer = sys._getframe(1).f_globals.get('consumer')
    if consumer is not None:
        consumer.close()
    raise SystemExit(0)


def give_up(*_):
    raise SystemExit(f'nothing was printed within {PATIENCE_S} s')


signal.signal(signal.SIGALRM, give_up)
signal.alarm(PATIENCE_S)
runpy.run_path(sys.argv[1], init_globals={'print': print_and_end}, run_name='__main__')
