"""`python -m bench [THEME...]`: measure, and print one line a figure."""

from __future__ import annotations

import tempfile
from importlib import import_module
from pathlib import Path

import click

from bench.databases import STORES
from bench.settings import Settings
from bench.table import HEAD, line

THEMES = ("floor", "memory", "startup", "durable", "starts", "waiting", "recovery", "written", "maps", "bookings")


@click.command(
    epilog="\b\nThemes:\n" + "\n".join(f"  {name:10} {import_module(f'bench.{name}').__doc__}" for name in THEMES)
)
@click.argument("themes", nargs=-1, metavar="[THEME]...", type=click.Choice(THEMES))
@click.option("--store", "stores", type=click.Choice(STORES), multiple=True, help="Only on this kind; default: both.")
@click.option("--seconds", default=3.0, show_default=True, help="How long each rate is measured.")
@click.option("--scale", default=1.0, show_default=True, help="A fraction of the full sizes, for a quick look.")
@click.option("--peers/--no-peers", default=True, show_default=True, help="Measure peers that are installed.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where databases are made: the disk that counts.")
def main(
    themes: tuple[str, ...],
    stores: tuple[str, ...],
    seconds: float,
    scale: float,
    peers: bool,
    folder: Path | None,
) -> None:
    """Measure what the engine costs, beside the floor of this machine and its peers.

    Without a THEME: all of them. A `!` marks a target that was missed. Compare figures of one run only.
    """
    with tempfile.TemporaryDirectory(dir=folder) as place:
        Path(place).chmod(0o755)  # a PostgreSQL of our own may run as another user
        settings = Settings(stores or STORES, seconds, scale, peers, Path(place))
        print(line(HEAD))
        for theme in themes or THEMES:
            print(f"-- {theme} ".ljust(100, "-"), flush=True)
            for figure in import_module(f"bench.{theme}").measure(settings):
                print(line(figure.row()), flush=True)


if __name__ == "__main__":
    main()
