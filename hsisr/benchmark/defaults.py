"""What is compared where the user names nothing: by table, for a smoke test, else everything."""

from dataclasses import replace
from typing import Final

from hsisr.benchmark.methods import PLAIN, all_methods
from hsisr.benchmark.options import BenchmarkOptions
from hsisr.benchmark.published import published
from hsisr.benchmark.splits import table_datasets
from hsisr.errors import UsageError
from hsisr.models.descriptor import SCALES

_SMOKE_METHODS: Final = ("bicubic", "dacn-any", "edsr")
_SMOKE_SETTINGS: Final = (
    *("dacn-any:network.width=8", "dacn-any:network.blocks=1", "dacn-any:network.heads=2"),
    *("edsr:network.width=16", "edsr:network.blocks=2"),
    *("steps=4", "validate_every=4", "batch_size=2", "crop_lr_px=8", "warmup_steps=1"),
    *("precision=float32", "ema_decay=0.0"),
)


def resolved(options: BenchmarkOptions) -> BenchmarkOptions:
    """The options with nothing left open; plain bicubic is always among the methods, first.

    Raises:
        UsageError: The published protocol is asked for and no Pavia scene is at hand.
    """
    if options.smoke:
        options = replace(
            options,
            settings=(*_SMOKE_SETTINGS, *options.settings),
            batches=options.batches[:1],
            scales=options.scales or (4,),
            methods=options.methods or _SMOKE_METHODS,
        )
    datasets = options.datasets or table_datasets(options)
    if options.protocol == "dacn-published" and not datasets:
        raise UsageError(
            "found no Pavia scene on this disk; --dataset paviau or --dataset paviac gets one"
        )
    names = options.methods or _methods_of(options.table)
    return replace(
        options,
        datasets=datasets,
        scales=options.scales or ((4,) if options.table == 1 else SCALES),
        methods=(PLAIN, *(name for name in dict.fromkeys(names) if name != PLAIN)),
    )


def _methods_of(table: int | None) -> tuple[str, ...]:
    """Those of a table of the paper that can be built; without a table, all."""
    known = all_methods()
    if table is None:
        return tuple(known)
    wanted = {row["method"] for row in published()[f"table{table}"]}
    return tuple(name for name in known if name in wanted)
