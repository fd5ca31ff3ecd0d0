"""What can go wrong with a model server, on either end of the wire."""

from __future__ import annotations

from inarvl.errors import InarvlError


class VlmError(InarvlError):
    """The root of this package's errors; raised itself when a server answers with something unreadable."""

    code = "vlm_error"


class VlmUnavailable(VlmError):
    """The server cannot be reached, hung up, is still loading, is stopping or failed inside."""

    code = "vlm_unavailable"


class VlmTimeout(VlmError):
    """No answer within the time the caller gave."""

    code = "vlm_timeout"


class VlmBusy(VlmError):
    """The server's queue is full.

    Attributes:
        retry_after_s: when the server suggests trying again, None when it does not say.
    """

    code = "busy"

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class VlmRefused(VlmError):
    """The server will not answer this request however often it is asked.

    Attributes:
        status: HTTP status, 4xx.
        reason: the server's own error code, None when it sent none.
    """

    code = "vlm_refused"

    def __init__(self, message: str, status: int, reason: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class InvalidRequest(VlmError):
    """A request the server refuses; `code` names which rule it breaks."""

    code = "invalid_request"

    def __init__(self, message: str, code: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class DeadlinePassed(VlmError):
    """The caller's deadline was over before the answer was."""

    code = "deadline_passed"


class ServerNotReady(VlmError):
    """The server is still loading, or already stopping."""

    code = "not_ready"


class GenerationFailed(VlmError):
    """The model failed on this request; the server goes on."""

    code = "generation_failed"


class OutOfMemory(VlmError):
    """The model ran out of memory on this request; the server ends, for its supervisor to start afresh."""

    code = "out_of_memory"


class ModelLoadError(VlmError):
    """A checkpoint cannot be served as asked; the message says what to do."""

    code = "model_load"


class ListenError(VlmError):
    """The server cannot listen where it was told to."""

    code = "listen"
