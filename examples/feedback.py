"""Reports whether an earlier answer was right, so that the controller learns from it.

Run:  python examples/feedback.py DECISION_ID right --device gate-3 --host localhost

DECISION_ID is `decision_id` in the reply.
"""

import argparse
import json

from paho.mqtt import publish

parser = argparse.ArgumentParser(description="Report whether an answer was right.")
parser.add_argument("decision_id")
parser.add_argument("verdict", choices=("right", "wrong"))
parser.add_argument("--device", required=True, help="the agent's name on the broker")
parser.add_argument("--host", default="localhost")
parser.add_argument("--port", type=int, default=1883)
options = parser.parse_args()

publish.single(
    f"inarvl/{options.device}/feedback",
    json.dumps({"decision_id": options.decision_id, "correct": options.verdict == "right"}),
    qos=1,
    hostname=options.host,
    port=options.port,
)
