"""Reads peer records retained on the MQTT broker, for peers that multicast does not reach."""

from __future__ import annotations

import logging

from agent.peers.registry import PeerRegistry
from cloud.peer import TOPIC, BadPeerRecord, PeerRecord

log = logging.getLogger(__name__)

SOURCE = "mqtt"


def receive_record(peers: PeerRegistry, topic: str, payload: bytes) -> None:
    """Offers the record on `topic`, inarvl/peers/<peer>, to `peers`.

    An empty payload withdraws the peer. An invalid record is logged and ignored.
    """
    peer_id = topic.removeprefix(f"{TOPIC}/")
    if not payload:
        peers.withdraw(peer_id, source=SOURCE)
        return
    try:
        record = PeerRecord.from_bytes(payload)
        if record.id != peer_id:
            raise BadPeerRecord(f"its id is {record.id}")
    except BadPeerRecord as error:
        log.warning("ignoring the record on %s: %s", topic[:120], error)
        return
    peers.offer(record, source=SOURCE)
