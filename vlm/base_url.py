"""The base URL of a server, in the forms in which providers publish it.

1. A URL with a version in its path (/v1, /v1beta/openai/, /api/paas/v4) is used as it is.
2. Without a path, the API is below /v1, or else at the root. With another path it is there, or else in /v1
   below it. The first one that answers like an API is used from then on.
3. inarvl's own probes (/healthz, /readyz, /probe) are beside /v1.
"""

from __future__ import annotations

import re
from urllib.parse import urlparse

VERSION = re.compile(r"/v\d[^/]*(/|$)")


def api_bases(url: str) -> tuple[str, ...]:
    """Returns the URLs that chat completions may be below, the most probable first."""
    url = url.rstrip("/")
    path = urlparse(url).path
    if VERSION.search(path):
        return (url,)
    return (url, f"{url}/v1") if path else (f"{url}/v1", url)


def probe_base(url: str) -> str:
    """Returns the URL that inarvl's own probes are below."""
    return url.rstrip("/").removesuffix("/v1")
