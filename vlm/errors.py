"""Errors of the model server and of its client."""

from __future__ import annotations

from inarvl.errors import InarvlError


class VlmError(InarvlError):
    """Base class of this package's errors; raised itself if a server's reply cannot be read."""

    code = "vlm_error"


class VlmUnavailable(VlmError):
    """The server cannot be reached, closed the connection, is loading, is stopping, or failed.

    Attributes:
        status: HTTP status, 3xx or 5xx; None if there was no response.
        connected: whether there was a connection, so that the request may have reached the server.
    """

    code = "vlm_unavailable"

    def __init__(self, message: str, status: int | None = None, *, connected: bool = True) -> None:
        super().__init__(message)
        self.status = status
        self.connected = connected


class VlmUntrusted(VlmUnavailable):
    """The server did not prove by its certificate who it is. It was sent nothing."""

    def __init__(self, message: str) -> None:
        super().__init__(message, connected=False)


class VlmTimeout(VlmError):
    """The caller's timeout is over."""

    code = "vlm_timeout"


class VlmBusy(VlmError):
    """The server's queue is full.

    Attributes:
        retry_after_s: when to try again, in seconds from now; None if the server gives no time.
    """

    code = "busy"

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class VlmRefused(VlmError):
    """The server refuses this request, or its reply has no answer; repeating it does not help.

    Attributes:
        status: HTTP status: an error, or 200 if the reply has no answer.
        reason: the server's error code, None if it sent none; for a reply without an answer "refusal",
            "content_filter", "tool_call", "reasoning", "length", "too_long" or "empty".
    """

    code = "vlm_refused"

    def __init__(self, message: str, status: int, reason: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class VlmDenied(VlmRefused):
    """The server refuses the caller: no valid key, no permission, or no credit or quota left.

    Attributes:
        model_only: it refuses this model only, and may allow others.
        retry_after_s: when to try again, in seconds from now; None if the server gives no time.
    """

    code = "denied"

    def __init__(
        self,
        message: str,
        status: int,
        reason: str | None = None,
        *,
        model_only: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, status, reason)
        self.model_only = model_only
        self.retry_after_s = retry_after_s


class InvalidRequest(VlmError):
    """A request that the server refuses.

    Attributes:
        code: names the rule that the request breaks.
        status: HTTP status of the response.
    """

    code = "invalid_request"

    def __init__(self, message: str, code: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class DeadlinePassed(VlmError):
    """The caller's deadline passed before the answer was complete."""

    code = "deadline_passed"


class ServerNotReady(VlmError):
    """The server is still loading, or is stopping."""

    code = "not_ready"


class GenerationFailed(VlmError):
    """The model failed on this request; the server continues."""

    code = "generation_failed"


class OutOfMemory(VlmError):
    """A request ran out of memory, or memory is over a limit; the server exits and systemd restarts it."""

    code = "out_of_memory"


class ModelLoadError(VlmError):
    """A checkpoint cannot be loaded; the message says what to do."""

    code = "model_load"


class ListenError(VlmError):
    """The server cannot listen on the given address."""

    code = "listen"
