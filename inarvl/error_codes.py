"""Lists every error code of the product with its meaning; new codes are added here.

`python -m inarvl.error_codes` prints docs/error-codes.md; a test compares both with the code.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Seen = Literal["reply", "event", "attempt", "http", "message"]

SEEN: Final[dict[Seen, str]] = {
    "reply": "In the reply to a query, `{id, error: {code, message}}`, and in the error body over HTTP.",
    "event": "In an event of kind `error` on `inarvl/<device>/event`.",
    "attempt": "As `failure` of a run in a decision record: what happened to one call of one arm.",
    "http": "In the error body of an HTTP response of a model server or the agent.",
    "message": "Of errors that a command prints or a log has; the code itself is not shown.",
}


class ErrorCode(NamedTuple):
    """A code, its meaning, and where it is seen."""

    code: str
    meaning: str
    seen: tuple[Seen, ...]


ERROR_CODES: Final = (
    ErrorCode("bad_json", "The payload is neither a JSON object nor an image.", ("reply",)),
    ErrorCode("missing_question", "The query has no question.", ("reply",)),
    ErrorCode("missing_image", "The query has no image, or more than one field with images.", ("reply",)),
    ErrorCode("unknown_field", "The query has a field that does not exist.", ("reply",)),
    ErrorCode("unknown_pin", "`pin` is neither `local` nor `cloud`.", ("reply",)),
    ErrorCode("bad_field", "A field of the query has an invalid value.", ("reply",)),
    ErrorCode("bad_response_topic", "Answers may not be published on the topic that was named.", ("reply",)),
    ErrorCode("bad_image", "The image cannot be read or decoded.", ("reply",)),
    ErrorCode("image_not_allowed", "`image_url` is outside `image_roots`.", ("reply",)),
    ErrorCode("too_many_images", "The query has more images than allowed.", ("reply",)),
    ErrorCode("too_large", "The query or its image is larger than allowed.", ("reply",)),
    ErrorCode("deadline_expired", "The deadline passed before there was an answer.", ("reply", "attempt")),
    ErrorCode("id_reused", "The id was used before, and its reply cannot stand for this query.", ("reply",)),
    ErrorCode("busy", "More queries wait than can be answered in time.", ("reply", "attempt", "http")),
    ErrorCode("no_arm", "No model can or may answer now; the message has the reason for each.", ("reply",)),
    ErrorCode(
        "local_only",
        "The query is pinned to the cloud, and the site file keeps its camera on the board.",
        ("reply", "attempt"),
    ),
    ErrorCode(
        "cloud_calls_spent",
        "The query is pinned to the cloud, and its camera has used its cloud calls of the day.",
        ("reply", "attempt"),
    ),
    ErrorCode(
        "spend_cap_reached",
        "A call might cost more than a cap of the day allows: in a reply, the query is pinned to the cloud.",
        ("reply", "attempt", "event"),
    ),
    ErrorCode("unanswered", "Every model was asked and failed.", ("reply",)),
    ErrorCode("spool_failed", "The device's disk cannot store the query.", ("reply",)),
    ErrorCode("internal", "A fault of the agent or the server itself; see its log.", ("reply", "http")),
    ErrorCode("reply_too_large", "The broker does not accept an answer of this size.", ("reply",)),
    ErrorCode("query_set_aside", "The agent crashed twice in a row while it worked on a query.", ("event",)),
    ErrorCode("reply_set_aside", "The broker closed the connection twice at a reply.", ("event",)),
    ErrorCode("bad_mode", "A message on `mode/set`, or the page, names no mode.", ("event", "http")),
    ErrorCode("store_failed", "The disk cannot store the mode.", ("event",)),
    ErrorCode("spool_damaged", "The spool's file was damaged and has been replaced.", ("event",)),
    ErrorCode("learned_damaged", "The saved state of the controller cannot be used.", ("event",)),
    ErrorCode(
        "cloud_calls_lost",
        "How often cameras with a limit used the cloud today is lost: they are local until 00:00 UTC.",
        ("event",),
    ),
    ErrorCode(
        "spend_lost",
        "What was spent today is lost: with a cap, models with a price are not asked until 00:00 local time.",
        ("event",),
    ),
    ErrorCode("mode_damaged", "The saved mode cannot be read: set it again.", ("event",)),
    ErrorCode(
        "home_assistant_refused",
        "The broker refuses a topic of Home Assistant: the agent cannot be found or removed there.",
        ("event",),
    ),
    ErrorCode("name_taken", "Another agent with the same name has connected to the broker.", ("event",)),
    ErrorCode(
        "feedback_ignored", "A client's feedback contradicts the models too often to be believed.", ("event",)
    ),
    ErrorCode("warm_start_failed", "A warm-start file cannot be used.", ("event", "message")),
    ErrorCode("vlm_error", "A model server failed in some other way.", ("attempt",)),
    ErrorCode("vlm_unavailable", "The model server could not be reached.", ("attempt",)),
    ErrorCode("vlm_timeout", "The model server did not answer in time.", ("attempt",)),
    ErrorCode("vlm_refused", "The model server refused the request.", ("attempt",)),
    ErrorCode(
        "denied", "The model server refused the agent: key, permission, credit or quota.", ("attempt",)
    ),
    ErrorCode("invalid_answer", "The answer is not valid JSON of the query's schema.", ("attempt",)),
    ErrorCode("gone", "The model server was no longer known or healthy.", ("attempt",)),
    ErrorCode("late", "The board answered first, because the cloud was late.", ("attempt",)),
    ErrorCode("cancelled", "The cloud answered first, and the board's call was cancelled.", ("attempt",)),
    ErrorCode("invalid_request", "The request is invalid; the message says what to change.", ("http",)),
    ErrorCode("deadline_passed", "The request's deadline passed before its turn.", ("http",)),
    ErrorCode(
        "not_ready", "The model is still loading, or the agent cannot answer yet or any more.", ("http",)
    ),
    ErrorCode("origin_not_allowed", "A browser sent the request for a page of another site.", ("http",)),
    ErrorCode("operators_only", "The token of the request is not one of an operator.", ("http",)),
    ErrorCode("model_not_found", "The request names a model that the agent does not know.", ("http",)),
    ErrorCode("generation_failed", "The model failed on this request.", ("http",)),
    ErrorCode("out_of_memory", "The request needs more memory than there is.", ("http",)),
    ErrorCode("bad_config", "A site file or profile is missing or invalid.", ("message",)),
    ErrorCode("secret_unavailable", "A password, key or token cannot be read.", ("message",)),
    ErrorCode("agent_silent", "The broker or the agent did not answer in time.", ("message",)),
    ErrorCode("decisions_unreadable", "The decision log cannot be read, or there is none.", ("message",)),
    ErrorCode("bad_tls_file", "A certificate or key file cannot be used.", ("message",)),
    ErrorCode("broker_failed", "`inarvl up` cannot start or use a broker.", ("message",)),
    ErrorCode("service_failed", "A process of `inarvl up` ended or did not start.", ("message",)),
    ErrorCode("already_running", "`inarvl up` or another agent of the same name runs already.", ("message",)),
    ErrorCode("exporter_failed", "The address for metrics cannot be used.", ("message",)),
    ErrorCode("http_failed", "The address for HTTP, or its tokens, cannot be used.", ("message",)),
    ErrorCode("publish_refused", "The broker rejected a message.", ("message",)),
    ErrorCode("packet_too_large", "A message is larger than the broker accepts.", ("message",)),
    ErrorCode("disconnected_twice", "The broker closed the connection twice at a message.", ("message",)),
    ErrorCode("bad_reply", "A message is not a reply of an agent.", ("message",)),
    ErrorCode("bad_telemetry", "The retained telemetry is not that of an agent.", ("message",)),
    ErrorCode("bad_snapshot", "Saved state has another version or is damaged.", ("message",)),
    ErrorCode("sensor_absent", "This board does not have the sensor.", ("message",)),
    ErrorCode("sensor_fault", "A sensor that should work cannot be read.", ("message",)),
    ErrorCode("camera_failed", "A watched camera has no picture.", ("message",)),
    ErrorCode("bad_plug_message", "A message of the smart plug has no usable power.", ("message",)),
    ErrorCode("bad_peer_record", "A peer record or announcement is invalid.", ("message",)),
    ErrorCode("bad_price", "A price is invalid.", ("message",)),
    ErrorCode("bad_pins", "The file of trusted peers cannot be read or written.", ("message",)),
    ErrorCode("peer_not_trusted", "A peer cannot be trusted or distrusted.", ("message",)),
    ErrorCode(
        "calibration_disturbed", "The machine changed while `inarvl profile new` measured it.", ("message",)
    ),
    ErrorCode("bad_feedback", "A feedback message is invalid.", ("http", "message")),
    ErrorCode("announce_failed", "A peer cannot announce itself.", ("message",)),
    ErrorCode(
        "ray_failed", "The application on Ray Serve cannot be started, or does not answer.", ("message",)
    ),
    ErrorCode("keygen_failed", "`inarvl-cloud keygen` cannot make a key or certificate.", ("message",)),
    ErrorCode("bad_token_file", "The file with the tokens of a server cannot be used.", ("message",)),
    ErrorCode("model_load", "A model cannot be loaded.", ("message",)),
    ErrorCode(
        "listen",
        "The address of a model server cannot be used, or is open to other machines without a token.",
        ("message",),
    ),
)


def as_markdown() -> str:
    """Returns the text of docs/error-codes.md."""
    lines = [
        "# Error codes",
        "",
        "Codes are stable; messages may change. Each message says what to do.",
        "Written by `python -m inarvl.error_codes`.",
    ]
    for seen, where in SEEN.items():
        lines += ["", f"## {seen.capitalize()}", "", where, "", "| code | meaning |", "|---|---|"]
        lines += [f"| `{row.code}` | {row.meaning} |" for row in ERROR_CODES if seen in row.seen]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(as_markdown(), end="")  # noqa: T201 # the purpose of this command
