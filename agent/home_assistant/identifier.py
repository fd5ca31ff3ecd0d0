"""Names that Home Assistant accepts in topics and ids."""

from __future__ import annotations

import re
from hashlib import blake2b

NOT_ALLOWED = re.compile(r"[^a-zA-Z0-9_-]")
DIGEST_BYTES = 4


def identifier(*names: str) -> str:
    """Returns an id for some names; different names have different ids.

    >>> identifier("gate-3")
    'gate-3'
    >>> identifier("front door", "how many?")
    'front_door_how_many__0d336a20'
    """
    readable = "_".join(NOT_ALLOWED.sub("_", name) for name in names)
    if len(names) == 1 and readable == names[0]:
        return readable
    digest = blake2b("/".join(names).encode(), digest_size=DIGEST_BYTES).hexdigest()
    return f"{readable}_{digest}"
