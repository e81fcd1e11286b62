"""The options and arguments of `overt evaluate`, as people read them in its help."""

import os
from pathlib import Path
from typing import Annotated

import typer

from overt.recognition.onnx_session import Device

Out = Annotated[
    Path,
    typer.Option(help="Folder for result.json, the tables, report.html and, with --sign, evidence.json."),
]
PackOption = Annotated[str, typer.Option("--pack", help="Model pack: cpu, facenet, or the path of a .toml.")]
DeviceOption = Annotated[Device, typer.Option(help="What the networks run on.")]
Threads = Annotated[
    int,
    typer.Option(
        help="Threads of each network on a CPU.",
        min=1,
        max=64,
        default_factory=os.cpu_count,
        show_default="one a core",
    ),
]
Models = Annotated[
    Path | None, typer.Option(help="Folder of model files, if they are not in the cache.", file_okay=False)
]
Keep = Annotated[
    Path | None,
    typer.Option(
        help="File to keep the templates in, and to take them from the next time: other thresholds without "
        "embedding again. It holds biometric data: delete it when you are done."
    ),
]
Sign = Annotated[
    Path | None, typer.Option(help="Private key (`overt evaluate key`) that signs evidence.json.")
]
LabelsFile = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        help="CSV: identity, then a column a grouping, of a labelled evaluation set: figures by group.",
    ),
]
Rounds = Annotated[
    int, typer.Option("--bootstrap", help="How often people are resampled.", min=10, max=100_000)
]
Seed = Annotated[int, typer.Option(help="Seed of what is drawn: resamples and smaller lists.", min=0)]


PairsFile = Annotated[
    Path, typer.Argument(help="CSV first,second,same[,fold] with paths of pictures; or LFW's pairs.txt.")
]
Pictures = Annotated[
    Path | None, typer.Option(help="Folder that the paths begin in; the pairs file's own if not given.")
]
Fmr = Annotated[float, typer.Option(help="False match rate to pick a threshold for.", min=1e-9, max=0.5)]
PeopleFolder = Annotated[
    Path,
    typer.Argument(
        help="gallery/ and probe/ with one folder a person in each; or one folder a person: who has two "
        "pictures or more is enrolled with the first and searched for with the others."
    ),
]
ListSize = Annotated[
    int | None,
    typer.Option(
        help="Entries of the list that the threshold is for; everybody enrolled if not given.", min=1
    ),
]
Fpir = Annotated[
    float,
    typer.Option(help="False-positive identification rate to pick a threshold for.", min=1e-9, max=0.5),
]
Rank = Annotated[int, typer.Option(help="The right entry counts as found up to this rank.", min=1, max=100)]
ClipsFile = Annotated[
    Path, typer.Argument(help="TOML: a watchlist folder, and clips with the entries they should find.")
]
Threshold = Annotated[
    float | None,
    typer.Option(help="Similarity from which an alert is raised; the pack's own if not given."),
]
