"""A peer announces the prices in the file of --prices; an invalid file is one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cloud.announcement import read_prices
from cloud.cli import app
from inarvl.price import Price, Prices

FILE = "currency: EUR\nmodels:\n  qwen3-8b: {input_per_million: 0.4, output_per_million: 1.2}\n"


def test_the_file_has_the_currency_and_the_price_of_each_model(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(FILE)
    assert read_prices(tmp_path / "prices.yaml") == Prices("EUR", (("qwen3-8b", Price(0.4, 1.2)),))
    assert read_prices(None) is None


@pytest.mark.parametrize("content", [None, "{", "currency: EUR", FILE.replace("0.4", "-1"), "\xff"])
def test_an_invalid_file_is_one_clear_line(content: str | None, tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    if content is not None:
        file.write_text(content, encoding="latin-1")
    ran = CliRunner().invoke(app, ["announce", "--url", "http://127.0.0.1:1", "--prices", str(file)])
    assert ran.exit_code == 1
    assert "prices.yaml" in ran.output
    assert "Traceback" not in ran.output
