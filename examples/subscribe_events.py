"""Prints what an agent publishes: its status, one record for each decision, and events.

Run:  python examples/subscribe_events.py --device gate-3 --host localhost     (until Ctrl-C)
"""

import argparse

from paho.mqtt.client import CallbackAPIVersion, Client, MQTTMessage

parser = argparse.ArgumentParser(description="Print an agent's status, decisions and events.")
parser.add_argument("--device", required=True, help="the agent's name on the broker")
parser.add_argument("--host", default="localhost")
parser.add_argument("--port", type=int, default=1883)
options = parser.parse_args()

topics = [(f"inarvl/{options.device}/{kind}", 1) for kind in ("status", "decision", "event")]


def print_message(_client: Client, _data: object, message: MQTTMessage) -> None:
    print(message.topic, message.payload.decode(), flush=True)


client = Client(CallbackAPIVersion.VERSION2)
client.on_connect = lambda client, *_: client.subscribe(topics)  # also after a lost connection
client.on_message = print_message
client.connect(options.host, options.port)
client.loop_forever()
