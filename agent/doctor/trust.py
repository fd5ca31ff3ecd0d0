"""Checks what the site file trusts without proof."""

from __future__ import annotations

from collections.abc import Sequence

from agent.config.settings import Settings
from agent.doctor.finding import Finding, ok, warning
from agent.peers.pins import BadPins, PinFile
from agent.profile.profile import Profile
from inarvl.server_url import stays_on_this_machine

SHOWN = 8
TRUST_REMEDY = "look at one with `inarvl peer trust ID`, or name it in the site file"


def trust(settings: Settings, profile: Profile) -> list[Finding]:
    """Warns where images may go to machines that nobody has checked, or without encryption."""
    findings = []
    if settings.discovery.trust.mode == "any":
        findings.append(
            warning(
                "discovery.trust is any: whoever announces a peer on this network or broker gets images",
                "write none and run `inarvl peer trust ID` for each peer, or name a CA in discovery.trust",
            )
        )
    urls = {server.id: server.url for server in settings.peers}
    try:
        pins = PinFile(settings.state_dir).load()
        urls |= {pin.id: pin.url for pin in pins if pin.fingerprint is None}
    except BadPins as error:
        findings.append(warning(str(error), "no peer is trusted by `inarvl peer trust` until then"))
    if settings.local is not None:
        urls["the board's server"] = settings.local
    plain = [f"{name} at {url}" for name, url in urls.items() if _is_plain(url)]
    if plain:
        findings.append(
            warning(
                f"images and keys go unencrypted to {', '.join(plain)}",
                "serve it with TLS and write https://, unless nobody else is on the network between",
            )
        )
    return findings or [ok("images go to trusted servers only, and not unencrypted to another machine")]


def untrusted(names: Sequence[str]) -> list[Finding]:
    """Returns a warning that names the discovered peers that are not trusted; nothing if there are none."""
    if not names:
        return []
    different = list(dict.fromkeys(names))
    more = f" and {len(different) - SHOWN} more" if len(different) > SHOWN else ""
    fact = f"not trusted, and sent nothing: {', '.join(different[:SHOWN])}{more}"
    return [warning(fact, TRUST_REMEDY)]


def _is_plain(url: str) -> bool:
    return url.startswith("http:") and not stays_on_this_machine(url)
