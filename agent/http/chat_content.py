"""The texts and images in the messages of a chat."""

from __future__ import annotations

from collections.abc import Mapping

from agent.http.errors import HttpError, bad_field
from agent.messages.query import BadQuery, decoded_image
from inarvl.quoting import quoted

ROLES = ("system", "developer", "user", "assistant")


def content_of(messages: object, max_images: int) -> tuple[list[str], tuple[bytes, ...]]:
    """Returns the texts and the images of all messages, in their order.

    Args:
        max_images: most images of a query.

    Raises:
        HttpError: the messages are invalid; `param` names the part.
    """
    if not isinstance(messages, list) or not messages:
        raise bad_field('messages must be a list such as [{"role": "user", "content": [...]}]', "messages")
    texts: list[str] = []
    images: list[bytes] = []
    conversation = any(isinstance(one, Mapping) and one.get("role") == "assistant" for one in messages)
    for number, message in enumerate(messages):
        where = f"messages[{number}]"
        role = message.get("role") if isinstance(message, Mapping) else None
        if role not in ROLES:
            raise bad_field(f"{where}.role must be one of {', '.join(ROLES)}", f"{where}.role")
        content = message.get("content")
        parts = [content] if isinstance(content, str) else content
        if not isinstance(parts, list):
            raise bad_field(f"{where}.content must be a string or a list of parts", f"{where}.content")
        said: list[str] = []
        for place, part in enumerate(parts):
            text, image = _part(part, f"{where}.content[{place}]")
            said += [text] if text is not None and text.strip() else []
            images += [] if image is None else [image]
            if len(images) > max_images:
                raise HttpError(
                    "too_many_images",
                    f"this agent accepts {max_images} images: send fewer, or raise intake.max_images",
                    param="messages",
                )
        if said:
            texts.append(f"{role}: {chr(10).join(said)}" if conversation else "\n".join(said))
    return texts, tuple(images)


def _part(part: object, where: str) -> tuple[str | None, bytes | None]:
    """Returns the text or the image of one part. Older releases of Frigate send a bare string as text."""
    match part:
        case str(text) | {"type": "text", "text": str(text)}:
            return text, None
        case {"type": "image_url", "image_url": {"url": str(url)} | str(url)}:
            return None, _image(url, f"{where}.image_url")
    raise bad_field(f'{where} must be {{"type": "text", ...}} or {{"type": "image_url", ...}}', where)


def _image(url: str, where: str) -> bytes | None:
    if url[:5].lower() != "data:":
        shown = quoted(url[:40])
        raise HttpError(
            "bad_image",
            f"{where} must be a data URL such as data:image/jpeg;base64,..., because the agent fetches "
            f"nothing; it begins with {shown}",
            param=where,
        )
    try:
        return decoded_image(url, where)
    except BadQuery as error:
        raise HttpError(error.code, str(error), param=where) from None
