"""The names under which clients choose who answers.

1. `inarvl-auto`: the agent decides. So do the names of OpenAI's models (`gpt-...`), with which many programs
   are set up.
2. `inarvl-local` and `inarvl-cloud`: any model of that tier.
3. The name of an arm, such as `cloud/big@512#gpu-1`. Without the server or the resolution it means all arms
   that it fits: `cloud/big`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from aiohttp import web

from agent.http.errors import HttpError
from controller import Arm

AUTO = "inarvl-auto"
TIERS = {"inarvl-local": "local", "inarvl-cloud": "cloud"}
OPENAI = ("gpt-", "chatgpt-")


def pin_of(model: object) -> dict[str, Any]:
    """Returns the fields of a query that pin it to a model; none for `inarvl-auto`.

    Raises:
        HttpError: there is no such model.
    """
    if model is None or model == AUTO:
        return {}
    if not isinstance(model, str):
        raise HttpError("bad_field", "model must be a string", param="model")
    if model in TIERS:
        return {"pin": TIERS[model]}
    if model.startswith(("local/", "cloud/")):
        return {"arm": model, "pin": model.partition("/")[0]}
    if model.startswith(OPENAI):
        return {}
    raise not_found(model)


def not_found(model: str) -> HttpError:
    """Returns the error for a model that the agent does not have."""
    message = f"there is no model {model[:100]!r}: use {AUTO}, or a name that GET /v1/models lists"
    return HttpError("model_not_found", message, param="model")


def names(arms: Iterable[Arm]) -> list[str]:
    """Returns the names of all models: the general ones, each model of a tier, and each arm."""
    arms = list(arms)
    models = dict.fromkeys(f"{arm.tier}/{arm.model}" for arm in arms)
    return [AUTO, *TIERS, *models, *(arm.id for arm in arms)]


class Models:
    """GET /v1/models and /v1/models/{id}.

    Args:
        arms: returns the arms that can be asked now.
    """

    def __init__(self, arms: Callable[[], Iterable[Arm]]) -> None:
        self._arms = arms

    def routes(self) -> list[web.RouteDef]:
        """Returns the routes."""
        return [web.get("/v1/models", self._list), web.get("/v1/models/{id:.+}", self._one)]

    async def _list(self, _request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [_card(name) for name in names(self._arms())]})

    async def _one(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        if name not in names(self._arms()):
            raise not_found(name)
        return web.json_response(_card(name))


def _card(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "inarvl"}
