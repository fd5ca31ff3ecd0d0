"""Sources and standing questions of cameras in the site file; each error names the key."""

from __future__ import annotations

from datetime import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.config.hours import Hours
from agent.config.settings import Settings, load_settings
from agent.config.yaml_file import ConfigError

Q = {"text": "Is a person there?"}
EVERY = {**Q, "when": {"every_s": 60}}
URL = "http://yard.lan/snapshot.jpg"


def site(tmp_path: Path, source: Any, question: dict[str, Any], name: str = "gate", **more: Any) -> Settings:
    camera = {"source": source, "questions": {"q": question}}
    content = {
        "device": "d",
        "image_roots": ["/var/lib/camera"],
        "camera_hosts": ["yard.lan", "10.0.0.7", "fd00::7"],
        "cameras": {name: camera},
        **more,
    }
    (tmp_path / "agent.yaml").write_text(yaml.safe_dump(content))
    return load_settings(tmp_path / "agent.yaml")


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("mqtt:frigate/gate/+/snapshot", "mqtt"),
        (URL + "?channel=1&size=2", "http"),
        ("https://YARD.lan:8443/s", "http"),
        ("http://[fd00::7]/s", "http"),
        ("rtsp://10.0.0.7:554/stream1", "rtsp"),
        ("file:/var/lib/camera/gate", "file"),
        ("file:///var/lib/camera/front%20door", "file"),
    ],
)
def test_a_source_is_accepted_as_its_url(tmp_path: Path, url: str, kind: str) -> None:
    source = site(tmp_path, url, EVERY).cameras["gate"].source
    assert source is not None
    assert (source.kind, source.timeout_s) == (kind, 10.0)


def test_a_question_has_the_deadline_of_its_period(tmp_path: Path) -> None:
    question = {**EVERY, "answer": "choice", "choices": ["open", "shut"]}
    found = site(tmp_path, "mqtt:a", question).cameras["gate"].questions["q"]
    assert (found.deadline, found.form.choices) == (60_000, ("open", "shut"))
    found = site(tmp_path, "mqtt:a", {**EVERY, "deadline_ms": 500}).cameras["gate"].questions["q"]
    assert found.deadline == 500
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    found = site(tmp_path, "mqtt:a", {**Q, "answer": "json", "schema": schema}).cameras["gate"].questions["q"]
    assert (found.deadline, found.form.schema, found.when.each_picture) == (None, schema, True)


def test_the_password_file_is_among_the_secrets(tmp_path: Path) -> None:
    login = {"username": "u", "password_file": "/etc/inarvl/yard.password"}
    assert site(tmp_path, {"url": URL, **login}, EVERY).secret_files == (Path("/etc/inarvl/yard.password"),)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("ftp://yard.lan/x", "source: must be mqtt:TOPIC, http(s)://host/path, rtsp://host/path or file:"),
        ("mqtt:", "source: the topic must have"),
        ("mqtt:$SYS/x", "no leading $"),
        ("mqtt:frigate/#", "+ as a whole level, and no #"),
        ("mqtt:frigate/a+/x", "+ as a whole level"),
        ("http://other.lan/x", "source: the host other.lan is not in camera_hosts: add it there"),
        ("rtsp://other.lan/x", "source: the host other.lan is not in camera_hosts: add it there"),
        ("http://u:p@yard.lan/x", "use username and password_file"),
        ("http://yard.lan/x?password=p", "its query has a password or key"),
        ("http://yard.lan/x?a=1#b", "its query must have no blanks"),
        ("http://yard.lan:0/x", "port"),
        ("rtsps://yard.lan/x", "must be mqtt:TOPIC"),
        ("file:camera", "must be file:/folder"),
        ("file://nas/camera", "must be file:/folder"),
        ("file:/var/lib/camera/../x", "must be file:/folder"),
        ("file:/var/lib/camera2", "source: /var/lib/camera2 is outside image_roots: add the folder there"),
        ({"url": URL, "username": "u"}, "username and password_file belong together"),
        ({"url": URL, "password": "p"}, "a secret is never written here"),
        ({"url": URL, "username": "a:b", "password_file": "/p"}, "no colon"),
        ({"url": URL, "auth": "ntlm"}, "source.auth"),
        ({"url": URL, "ca_file": "/ca"}, "ca_file is for https"),
        ({"url": URL, "poll_s": 0.01}, "poll_s must be at least 0.1 for http"),
        ({"url": "mqtt:a", "poll_s": 1}, "poll_s is not for mqtt"),
        ({"url": "mqtt:a", "username": "u", "password_file": "/p"}, "are for http and rtsp, not for mqtt"),
    ],
)
def test_a_wrong_source_is_named(tmp_path: Path, source: Any, problem: str) -> None:
    with pytest.raises(ConfigError, match=r"cameras\.gate\.") as caught:
        site(tmp_path, source, EVERY)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("question", "problem"),
    [
        ({}, "questions.q.text: Field required"),
        ({"text": " "}, "text is empty"),
        ({**Q, "answer": "maybe"}, "questions.q: unknown answer 'maybe'"),
        ({**Q, "answer": "choice"}, "belong together"),
        ({**Q, "answer": "json", "schema": {"type": 7}}, "questions.q: schema"),
        ({**Q, "when": {"every": 5}}, "questions.q.when.every: unknown key; did you mean every_s?"),
        ({**Q, "when": {"every_s": 0}}, "questions.q.when.every_s"),
        ({**Q, "when": {"on_change": 65}}, "questions.q.when.on_change"),
        ({**Q, "when": {"per_minute": 0}}, "questions.q.when.per_minute"),
        ({**Q, "when": {"trigger": "a/#"}}, "questions.q.when.trigger"),
        ({**Q, "when": {"between": "22-6"}}, "questions.q.when.between: must be two times of the day"),
        ({**Q, "when": {"between": "06:00-06:00"}}, "begin and end are equal"),
        ({**Q, "when": {"between": "20:00-24:30"}}, "the day ends at 24:00"),
        ({**Q, "topic": "zigbee2mqtt/door/set"}, "questions.q.topic: this agent does not publish to"),
        ({**Q, "topic": "inarvl/d/camera/gate/q/"}, "questions.q.topic"),
        ({**Q, "topic": "a/+"}, "questions.q.topic: cannot publish to"),
        ({**Q, "topic": "inarvl/d/result/other"}, "questions.q.topic: this agent does not publish to"),
        ({**Q, "when": {"trigger": "inarvl/d/camera/+/q"}}, "when.trigger: the answers go to this topic too"),
    ],
)
def test_a_wrong_question_is_named(tmp_path: Path, question: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=r"cameras\.gate\.") as caught:
        site(tmp_path, "mqtt:a", question)
    assert problem in str(caught.value)


@pytest.mark.parametrize("source", [URL, "rtsp://yard.lan/x"])
def test_a_fetched_picture_needs_a_reason(tmp_path: Path, source: str) -> None:
    with pytest.raises(ConfigError, match=r"cameras\.gate: questions\.q\.when: add every_s, on_change or"):
        site(tmp_path, source, Q)


def test_source_and_questions_belong_together_and_everybody_is_no_camera(tmp_path: Path) -> None:
    for camera, problem in (
        ({"source": "mqtt:a"}, "a source needs questions"),
        ({"questions": {"q": Q}}, "questions need a source"),
    ):
        with pytest.raises(ConfigError, match=problem):
            site(tmp_path, "mqtt:a", Q, cameras={"gate": camera})
    with pytest.raises(ConfigError, match='"\\*" is no camera'):
        site(tmp_path, "mqtt:a", Q, name="*")


def test_two_pictures_need_room_in_a_query(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"questions\.q\.before: it needs two images"):
        site(tmp_path, "mqtt:a", {**Q, "before": True}, intake={"max_images": 1})


@pytest.mark.parametrize("topic", ["home/answers/gate", "inarvl/d/result/gate/q", "inarvl/d/camera/gate/q"])
def test_answers_may_go_where_the_site_file_allows(tmp_path: Path, topic: str) -> None:
    allow = {"allow": ["home/answers"]}
    found = site(tmp_path, "mqtt:a", {**Q, "topic": topic}, replies=allow).cameras["gate"].questions["q"]
    assert found.topic == topic


@pytest.mark.parametrize("host", ["yard.lan:80", "http://yard.lan", "", "a b", "yard.lan/x"])
def test_an_allowed_host_has_no_port(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigError, match=r"camera_hosts\.0: must be the name or address of a host"):
        site(tmp_path, "mqtt:a", Q, camera_hosts=[host])


def test_hours_across_midnight_contain_it() -> None:
    night = Hours(22 * 3600, 6 * 3600)
    assert [night.contain(time(h)) for h in (21, 22, 23, 0, 5, 6)] == [False, True, True, True, True, False]
    assert night.begin_in_s(time(21, 30)) == 1800
    assert night.begin_in_s(time(23)) == 0
    assert Hours(8 * 3600, 9 * 3600).begin_in_s(time(10)) == 22 * 3600
