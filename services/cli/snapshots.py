"""SQL over the snapshots: a DuckDB view per topic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from services.cli.exits import CommandError, ExitCode


def latest(var: Path) -> Path:
    """Give the snapshots of the newest run below `var`; those of a fleet outside paper mode when there was no paper run."""
    runs = sorted(var.glob("runs/*/snapshots")) or sorted(var.glob("live/*/snapshots"))
    return runs[-1] if runs else var / "runs"


def ask(root: Path, sql: str) -> list[dict[str, Any]]:
    """Answer a query; each topic directory below `root` is a view of its name.

    Raises:
        CommandError: there are no snapshots, or the SQL is wrong.
    """
    topics = sorted(path for path in root.glob("topic=*") if any(path.rglob("*.parquet")))
    if not topics:
        raise CommandError(
            ExitCode.NOT_FOUND,
            f"no snapshots below {root} yet; run the fleet first (they come each half a minute), or name the directory with --data",
        )
    with duckdb.connect() as database:
        try:
            for path in topics:
                name = path.name.removeprefix("topic=")
                pattern = str(path / "**" / "*.parquet").replace("'", "''")
                database.execute(  # a view cannot be a prepared statement; the path is our own and quoted
                    f"CREATE VIEW \"{name}\" AS SELECT * FROM read_parquet('{pattern}', hive_partitioning = true)"  # noqa: S608 - as above
                )
            answer = database.execute(sql)
        except duckdb.Error as error:
            views = ", ".join(path.name.removeprefix("topic=") for path in topics)
            raise CommandError(
                ExitCode.ERROR, f"{str(error).partition('LINE ')[0]}; there are the views {views}"
            ) from None
        names = [column[0] for column in answer.description or ()]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
