"""Reads peer records retained on the MQTT broker, for peers that multicast does not reach."""

from __future__ import annotations

from agent.peers.registry import PeerRegistry
from cloud.peer import TOPIC, BadPeerRecord, PeerRecord
from inarvl.door import Door

SOURCE = "mqtt"


def receive_record(peers: PeerRegistry, topic: str, payload: bytes, door: Door | None = None) -> None:
    """Offers the record on `topic`, inarvl/peers/<peer>, to `peers`; an empty payload withdraws the peer."""
    with (door or Door("peer records")).guard(topic):
        peer_id = topic.removeprefix(f"{TOPIC}/")
        if not payload:
            peers.withdraw(peer_id, source=SOURCE)
            return
        record = PeerRecord.from_bytes(payload)
        if record.id != peer_id:
            raise BadPeerRecord(f"its id is {record.id}")
        peers.offer(record, source=SOURCE)
