#!/usr/bin/env bash
# Asks the agent a question as a camera can: the payload is the image, and the question is an MQTT 5 user property.
#
# Run:  examples/ask_raw_jpeg.sh photo.jpg "how many cups are there?" gate-3 [BROKER_HOST] [BROKER_PORT]
set -euo pipefail
image=$1 question=$2 device=$3
broker=(-V 5 -q 1 -h "${4:-localhost}" -p "${5:-1883}")
answers="inarvl/$device/result/example-$$"
subscribe=(mosquitto_sub "${broker[@]}" -i "example-$$" -c -x 120 -t "$answers")

"${subscribe[@]}" -E # starts a session in which the broker keeps the reply
mosquitto_pub "${broker[@]}" -t "inarvl/$device/query" -f "$image" -D publish response-topic "$answers" \
    -D publish user-property question "$question" -D publish user-property deadline_ms 20000
"${subscribe[@]}" -C 1 -W 60 # prints the reply
