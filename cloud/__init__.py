"""Announces a VLM endpoint, so that devices find it: the peer record, zeroconf, MQTT, and `inarvl-cloud`.

This module exports the peer record, which devices read too; it imports no model library.
"""

from cloud.peer import BadPeerRecord, PeerRecord

__all__ = ["BadPeerRecord", "PeerRecord"]
