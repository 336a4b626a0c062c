"""Figures as others printed them, from the one file that holds them."""

import tomllib
from importlib.resources import files
from typing import Any, Final

DATASET_TITLES: Final = {"paviac": "PaviaC", "paviau": "PaviaU"}
"""As the tables print them."""


def published() -> dict[str, Any]:
    """The file `published.toml`: `table1`, `table2` and `notebook` are rows, `source` says whose.

    >>> published()["table1"][2]["mpsnr"]
    30.67
    """
    path = files("hsisr.benchmark") / "published.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def published_figures(method: str, scale: int, dataset: str) -> dict[str, float]:
    """All figures printed for a method on a dataset; empty if there are none.

    >>> published_figures("dacn", 8, "paviac")["ergas"]
    4.894
    """
    tables = published()
    ablation = [{**row, "scale": 4, "dataset": "paviau"} for row in tables["table1"]]
    found: dict[str, float] = {}
    for row in (*ablation, *tables["table2"], *tables["notebook"]):
        if (row["method"], row["scale"], row["dataset"]) == (method, scale, dataset):
            found |= {key: value for key, value in row.items() if key in FIGURES}
    return found


FIGURES: Final = ("mpsnr", "mssim", "sam", "cc", "ergas", "rmse")
"""That others print."""
