"""Asks the agent a question about an image over MQTT, as JSON, and prints the reply.

Run:  python examples/ask.py photo.jpg "how many cups are there?" --device gate-3 --host localhost
"""

import argparse
import base64
import json
import uuid
from pathlib import Path

from paho.mqtt.client import CallbackAPIVersion, Client, MQTTMessage

parser = argparse.ArgumentParser(description="Ask the agent a question about an image.")
parser.add_argument("image", type=Path)
parser.add_argument("question")
parser.add_argument("--device", required=True, help="the agent's name on the broker")
parser.add_argument("--host", default="localhost")
parser.add_argument("--port", type=int, default=1883)
options = parser.parse_args()

name = f"example-{uuid.uuid4().hex[:8]}"
image = base64.b64encode(options.image.read_bytes()).decode()
query = {"id": name, "client": name, "question": options.question, "image": image, "deadline_ms": 20_000}


def print_reply(client: Client, _data: object, message: MQTTMessage) -> None:
    print(json.dumps(json.loads(message.payload), indent=2))
    client.disconnect()


client = Client(CallbackAPIVersion.VERSION2, client_id=name)
client.on_connect = lambda client, *_: client.subscribe(f"inarvl/{options.device}/result/{name}", qos=1)
client.on_subscribe = lambda client, *_: client.publish(
    f"inarvl/{options.device}/query", json.dumps(query), qos=1
)
client.on_message = print_reply
client.connect(options.host, options.port)
client.loop_forever()
