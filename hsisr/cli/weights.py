"""The `hsisr weights` commands: list, show, verify, import, export."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hsisr.cli.console import expected_errors, print_json, say, tell
from hsisr.cli.options import Json, Overwrite, completed, examples
from hsisr.engine.options import released_names

weights = typer.Typer(
    help="Released networks and weights files.",
    no_args_is_help=True,
    epilog=examples("hsisr weights list", "hsisr weights show dacn-any-x4"),
)
_Model = Annotated[
    str,
    typer.Argument(
        metavar="NAME|FILE", help="Released, or a file.", autocompletion=completed(released_names)
    ),
]


@weights.command("list", epilog=examples("hsisr weights list", "hsisr weights list --json"))
def list_(json: Json = False) -> None:
    """List the networks that come with hsisr."""
    with expected_errors():
        from hsisr.commands.weights import facts_of_entry
        from hsisr.weights import released

        entries = released()
        if json:
            print_json({"weights": [facts_of_entry(entry) for entry in entries]})
        else:
            for entry in entries:
                tell(f"{entry.name:<32}x{entry.scale}{'  default' if entry.default else ''}")


@weights.command(
    "show",
    epilog=examples("hsisr weights show dacn-any-x4", "hsisr weights show my.safetensors --json"),
)
def show(model: _Model, json: Json = False) -> None:
    """Show what network a weights file holds; of released ones also the model card."""
    with expected_errors():
        from hsisr.commands.weights import card_of, facts_of_weights
        from hsisr.weights import load_weights, resolve

        facts = facts_of_weights(load_weights(resolve(model)))
        if json:
            print_json(facts)
        else:
            tell(_text(facts))
            if card := card_of(model):
                tell(f"\n{card}".removesuffix("\n"))


@weights.command(
    "verify", epilog=examples("hsisr weights verify", "hsisr weights verify my.safetensors")
)
def verify(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME|FILE",
            help="All released ones by default.",
            autocompletion=completed(released_names),
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Load weights and check them: hash, parameters, network. Exit code 4 if any is unsound."""
    with expected_errors():
        from hsisr.commands.weights import verify_weights
        from hsisr.errors import WeightsError

        verdicts = verify_weights(models or ())
        if json:
            print_json({"weights": verdicts})
        else:
            for verdict in verdicts:
                sound = f"sound, {verdict['sha256']}"
                tell(f"{verdict['name']}: {verdict['complaint'] or sound}")
        if unsound := [verdict["name"] for verdict in verdicts if not verdict["sound"]]:
            raise WeightsError(
                f"{len(unsound)} of {len(verdicts)} weights cannot be used: {', '.join(unsound)}"
            )


@weights.command(
    "import",
    epilog=examples(
        "hsisr weights import dacn.keras -o dacn.safetensors",
        "hsisr weights import dacn.keras -o dacn.safetensors --overwrite",
    ),
)
def import_(
    source: Annotated[
        Path, typer.Argument(metavar="FILE.keras", help="As the published notebooks save it.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE.safetensors", help="File to write.")
    ],
    overwrite: Overwrite = False,
) -> None:
    """Turn the published `.keras` weights into a file that --model takes. Keras is not needed."""
    with expected_errors():
        from hsisr.commands.weights import import_weights

        tell(import_weights(source, output, overwrite=overwrite))


@weights.command(
    "export",
    epilog=examples(
        "hsisr weights export dacn-any-x4 -o dacn.onnx",
        "hsisr weights export my.safetensors -o my.onnx --overwrite",
    ),
)
def export(
    model: _Model,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE.onnx", help="File to write.")
    ],
    overwrite: Overwrite = False,
) -> None:
    """Write a network as ONNX, checked with onnxruntime, for programs without PyTorch."""
    with expected_errors():
        from hsisr.commands.weights import export_weights

        difference = export_weights(model, output, overwrite=overwrite)
        say(f"largest difference from PyTorch: {difference:.1e} in normalised numbers")
        tell(output)


def _text(facts: dict[str, Any]) -> str:
    network = facts["descriptor"]
    seen = network["wavelengths_nm"]
    rows = [
        ("file", facts["path"]),
        ("sha256", facts["sha256"]),
        ("network", f"{network['arch']}, {facts['parameters']:,} parameters"),
        ("trained", {True: "yes", False: "no", None: "not stated"}[facts["trained"]]),
        ("scale", network["scale"]),
        ("band groups", f"{network['group_size']} bands, {network['group_overlap']} shared"),
        ("tiles", f"{network['tile_lr_px']} LR pixels, {network['overlap_lr_px']} shared"),
        ("margin", f"{network['margin_lr_px']} LR pixels"),
        ("normalisation", network["normalisation"]),
        ("LR made by", network["degradation"]),
        ("wavelengths", f"{seen[0]:g} to {seen[1]:g} nm" if seen else "unknown"),
        *network["hparams"].items(),
        *facts["card"].items(),
    ]
    return "\n".join([facts["name"], *(f"  {name:<16}{value}" for name, value in rows)])
