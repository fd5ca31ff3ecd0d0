"""Of a checkpoint only data is read, none of it from elsewhere; and it is the pinned one, or not loaded."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import jinja2
import pytest

from vlm import bundled
from vlm.checkpoint import Checkpoint
from vlm.errors import GenerationFailed, InvalidRequest, ModelLoadError
from vlm.loading import load
from vlm.model import VisionModel
from vlm.model_files import digest, loaded_files

Build = Callable[[str], Path]
OTHER = "0" * 64


@pytest.fixture
def copy(checkpoint: Build, tmp_path: Path) -> Path:
    """A copy of a checkpoint, to be attacked."""
    return Path(shutil.copytree(checkpoint("llava"), tmp_path / "copy"))


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    """A file that exists once code of a model has run."""
    return tmp_path / "code-ran"


class Exploit:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.system, (f"touch {self.path}",))


def loaded(folder: Path, sha256: str | None = None) -> VisionModel:
    return load(Checkpoint.at(str(folder), "none", sha256=sha256), "cpu", 8, lambda _share: None)


def refusal(folder: Path, sha256: str | None = None) -> str:
    with pytest.raises(ModelLoadError) as raised:
        loaded(folder, sha256)
    return str(raised.value)


def edit(path: Path, **entries: object) -> None:
    content = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**content, **entries}))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "training_args.bin", "optimizer.pt"])
def test_a_pickle_beside_the_weights_is_not_opened(copy: Path, ran: Path, name: str) -> None:
    (copy / name).write_bytes(pickle.dumps(Exploit(ran)))
    before = digest(copy)
    assert loaded(copy).card.sha256 == before
    assert copy / name not in loaded_files(copy)
    assert not ran.exists()


def test_a_pickle_in_place_of_the_weights_is_refused(copy: Path, ran: Path) -> None:
    (copy / "model.safetensors").unlink()
    (copy / "pytorch_model.bin").write_bytes(pickle.dumps(Exploit(ran)))
    (copy / "pytorch_model.bin.index.json").write_text('{"weight_map": {"a": "pytorch_model.bin"}}')
    assert "no weights as safetensors, which alone are loaded" in refusal(copy)
    (copy / "model.safetensors").write_bytes(pickle.dumps(Exploit(ran)))
    assert "damaged weights" in refusal(copy)
    assert not ran.exists()


@pytest.mark.parametrize(
    ("file", "classes"),
    [
        ("config.json", {"AutoConfig": "evil.Config", "AutoModelForImageTextToText": "evil.Model"}),
        ("tokenizer_config.json", {"AutoTokenizer": ["evil.Tokenizer", "evil.Tokenizer"]}),
        ("processor_config.json", {"AutoProcessor": "evil.Processor"}),
        ("preprocessor_config.json", {"AutoImageProcessor": "evil.ImageProcessor"}),
        ("config.json", {"AutoConfig": "attacker/repository--evil.Config"}),
    ],
)
def test_code_that_a_checkpoint_names_is_not_run(
    copy: Path, ran: Path, file: str, classes: dict[str, object]
) -> None:
    code = f"import os\nos.system('touch {ran}')\n"
    for name in ("evil.py", "modeling_llava.py", "__init__.py", "custom_generate/generate.py", "setup.py"):
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text(code)
    edit(copy / file, auto_map=classes)
    with suppress(ModelLoadError):
        loaded(copy)
    assert not ran.exists()


@pytest.mark.parametrize(
    "entry",
    [
        {"attn_implementation": "attacker/kernel"},
        {"_attn_implementation": "attacker/kernel@v1:evil"},
        {"text_config": {"_attn_implementation": "attacker/kernel"}},
        {"use_kernels": True},
        {"custom_generate": "attacker/code"},
    ],
)
def test_a_configuration_that_names_code_at_a_hub_is_refused(copy: Path, entry: dict[str, object]) -> None:
    edit(copy / "config.json", **entry)
    assert "inarvl runs no code of a model" in refusal(copy)


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.system('touch FILE') }}",
        "{{ (messages|attr('__class__')).__base__.__subclasses__()[0]('touch FILE') }}",
        "{{ lipsum.__globals__['os'].system('touch FILE') }}",
        "{% set x = messages.append(messages) %}",
        "{{ raise_exception.__globals__['__builtins__']['open']('FILE', 'w') }}",
    ],
)
def test_a_chat_template_reaches_nothing_outside_of_its_sandbox(copy: Path, ran: Path, template: str) -> None:
    (copy / "chat_template.jinja").write_text(template.replace("FILE", str(ran)))
    with suppress(jinja2.TemplateError, ModelLoadError, InvalidRequest, GenerationFailed, ValueError):
        loaded(copy).warm_up(lambda: None)
    assert not ran.exists()


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_link_out_of_the_folder_is_refused(copy: Path, tmp_path: Path, name: str) -> None:
    (copy / name).rename(tmp_path / name)
    (copy / name).symlink_to(tmp_path / name)
    assert f"{name} is a link out of the checkpoint's folder" in refusal(copy)


def test_a_link_within_the_folder_and_one_into_the_storage_of_the_cache_are_followed(
    checkpoint: Build, tmp_path: Path
) -> None:
    storage = tmp_path / "models--a--b"
    snapshot = storage / "snapshots" / ("0" * 40)
    shutil.copytree(checkpoint("llava"), snapshot)
    before = digest(snapshot)
    (storage / "blobs").mkdir()
    (snapshot / "model.safetensors").rename(storage / "blobs" / "blob")
    (snapshot / "model.safetensors").symlink_to("../../blobs/blob")
    assert digest(snapshot) == before
    (storage / "secret").write_text("")
    (snapshot / "model.safetensors").unlink()
    (snapshot / "model.safetensors").symlink_to("../../secret")
    with pytest.raises(ModelLoadError, match="is a link out of"):
        digest(snapshot)


@pytest.mark.parametrize(
    "part", ["../secret.safetensors", "/etc/passwd", "sub/model-00001-of-00001.safetensors"]
)
def test_an_index_that_names_files_elsewhere_is_refused(copy: Path, part: str) -> None:
    (copy / "model.safetensors").rename(copy / "model-00001-of-00001.safetensors")
    (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": part}}))
    assert "names files that are no weights of this folder" in refusal(copy)


@pytest.mark.parametrize("index", ["[]", "{", '{"weight_map": {"a": 3}}', '{"weight_map": []}'])
def test_an_index_that_is_none_is_refused(copy: Path, index: str) -> None:
    (copy / "model.safetensors").rename(copy / "model-00001-of-00001.safetensors")
    (copy / "model.safetensors.index.json").write_text(index)
    assert "download" in refusal(copy)


def test_the_digest_is_what_sha256sum_prints(copy: Path) -> None:
    names = [path.relative_to(copy).as_posix() for path in loaded_files(copy)]
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(names)
    command = 'sha256sum "$@" | sha256sum'
    printed = subprocess.run(
        ["bash", "-c", command, "bash", *names], cwd=copy, check=True, capture_output=True, text=True
    )
    assert printed.stdout.split()[0] == digest(copy)


def test_a_pinned_model_is_loaded_and_reports_its_digest(copy: Path) -> None:
    pin = digest(copy)
    assert loaded(copy, pin).card.sha256 == pin


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "chat_template.jinja", "tokenizer.json"]
)
def test_a_model_of_which_one_byte_changed_is_refused_before_it_is_parsed(
    copy: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin = digest(copy)
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("it was parsed"))
    message = refusal(copy, pin)
    assert f"{copy} is not the model that was pinned" in message
    assert pin in message


def test_a_file_that_was_added_or_removed_changes_the_digest(copy: Path) -> None:
    before = digest(copy)
    (copy / "README.md").write_text("not loaded")
    assert digest(copy) == before
    (copy / "added_tokens.json").write_text("{}")
    assert digest(copy) != before
    (copy / "added_tokens.json").unlink()
    (copy / "additional_chat_templates").mkdir()
    (copy / "additional_chat_templates" / "tool_use.jinja").write_text("{{ messages }}")
    assert digest(copy) != before


@pytest.mark.parametrize("name", bundled.names())
def test_a_bundled_checkpoint_has_the_files_that_came_with_it(name: str) -> None:
    assert Checkpoint.at(f"bundled:{name}", "none").sha256 == digest(bundled.path(name))


def test_a_changed_bundled_checkpoint_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = bundled.names()[0]
    shutil.copytree(bundled.FOLDER, tmp_path / "bundled")
    monkeypatch.setattr(bundled, "FOLDER", tmp_path / "bundled")
    edit(tmp_path / "bundled" / name / "generation_config.json", max_length=1)
    checkpoint = Checkpoint.at(f"bundled:{name}", "none")
    with pytest.raises(ModelLoadError, match="is not the model that was pinned"):
        load(checkpoint, "cpu", 8, lambda _share: None)


@pytest.mark.parametrize(
    ("source", "pin", "problem"),
    [
        ("owner/name", {"sha256": "abc"}, "--sha256 must be"),
        ("owner/name", {"revision": "main"}, "--revision must be"),
        (".", {"revision": "0" * 40}, "--revision is for a hub id"),
    ],
)
def test_a_pin_of_another_form_is_refused(
    source: str, pin: dict[str, str], problem: str, tmp_path: Path
) -> None:
    folder = str(tmp_path) if source == "." else source
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelLoadError, match=problem):
        Checkpoint.at(folder, "none", **pin)  # type: ignore[arg-type]
