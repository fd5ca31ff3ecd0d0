"""Checks that the agent's HTTP address answers, and that its tokens can be used."""

from __future__ import annotations

import json

from aiohttp import ClientError, ClientSession, ClientTimeout, UnixConnector

from agent.config.http_settings import HttpSettings
from agent.config.settings import Settings
from agent.doctor.finding import Finding, failed, ok, warning
from agent.profile.profile import Profile
from inarvl.secret_file import SecretUnavailable, secret_path
from vlm.bearer_tokens import BadTokenFile, first_token
from vlm.sockets import host_and_port, is_exposed

TIMEOUT_S = 5.0
ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}


async def http(settings: Settings, profile: Profile) -> list[Finding]:
    """Returns what was found at the address of the section `http`; nothing without that section."""
    section = settings.http
    if section is None:
        return []
    try:
        token = None if section.token_file is None else first_token(secret_path(section.token_file))
    except (BadTokenFile, SecretUnavailable) as error:
        return [failed(str(error), "correct http.token_file in the site file")]
    findings = [await _answers(section, token)]
    if is_exposed(section.listen):
        findings.append(
            warning(
                f"questions, images and tokens reach {section.listen} unencrypted",
                "listen on 127.0.0.1 behind a proxy with TLS, unless you trust this network (docs/http.md)",
            )
        )
    return findings


async def _answers(section: HttpSettings, token: str | None) -> Finding:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    url, connector = "http://localhost", None
    if section.listen.startswith("unix:"):
        connector = UnixConnector(section.listen.removeprefix("unix:"))
    else:
        host, port = host_and_port(section.listen)
        host = ANY.get(host, host)
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    try:
        async with (
            ClientSession(connector=connector, timeout=ClientTimeout(TIMEOUT_S)) as session,
            session.get(f"{url}/readyz", headers=headers) as response,
        ):
            if response.status == 200:
                return ok(f"http on {section.listen}: the agent is ready")
            problem = _message(await response.text()) or f"status {response.status}"
    except (ClientError, OSError, TimeoutError) as error:
        return failed(
            f"http on {section.listen}: no answer ({error or 'timeout'})",
            "start the agent (`systemctl start inarvl-agent`), or restart it after a change of `http`",
        )
    return warning(f"http on {section.listen}: {problem}", "see the other checks for the cause")


def _message(body: str) -> str | None:
    """Returns the message of an error in OpenAI's schema; None if the body has none."""
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, TypeError, KeyError):
        return None
